"""The shared contracts of IronClaw: structs, state machine, endpoints. No I/O."""
