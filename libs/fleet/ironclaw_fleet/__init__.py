"""The ironclaw command: run the fleet on one machine, chat, inspect, operate."""
