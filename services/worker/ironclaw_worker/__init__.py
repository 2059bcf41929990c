"""The worker: units that execute orders."""
