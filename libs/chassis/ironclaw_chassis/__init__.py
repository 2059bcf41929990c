"""What every IronClaw service needs once."""
