"""`python3 -m appleseed_evolution.cli`: the form in which the contract and the handoff reports name it."""

from appleseed_evolution.cli import main

if __name__ == "__main__":
    main()
