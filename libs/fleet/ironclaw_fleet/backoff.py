"""How long to wait before a process is started again."""

STABLE_SECONDS = 30.0
_SHORTEST_SECONDS = 0.2
_LONGEST_SECONDS = 10.0


def delay(failures: int) -> float:
    """Return the wait before the next start after so many failures in a row, in seconds."""
    doublings = min(max(0, failures - 1), 16)
    return min(_SHORTEST_SECONDS * 2**doublings, _LONGEST_SECONDS)


def failures_after(failures: int, lived_seconds: float) -> int:
    """Return the failures in a row once a process ended; a life long enough forgives the earlier ones."""
    return 1 if lived_seconds > STABLE_SECONDS else failures + 1
