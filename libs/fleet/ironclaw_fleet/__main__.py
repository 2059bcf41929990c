"""`python -m ironclaw_fleet` is the `ironclaw` command."""

from ironclaw_fleet.cli import main

main()
