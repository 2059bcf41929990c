"""PostgreSQL and Valkey from package-registry binaries, run as children of the fleet."""
