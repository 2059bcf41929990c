"""The vault: theater repositories, worktrees, archives."""
