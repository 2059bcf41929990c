"""The sentinel: audits the duty officer, sends out what a person has to know, patrols when nobody does."""
