"""The state directory: locked, fsynced ledgers, and files that are written whole or not at all."""
