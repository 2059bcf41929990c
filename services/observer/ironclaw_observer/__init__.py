"""The observer: theater patrol and validation of completed orders."""
