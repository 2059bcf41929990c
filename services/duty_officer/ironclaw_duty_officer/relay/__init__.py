"""The garrison's relay to its OpenClaw validator: one MCP session for every node (contract: Transport)."""
