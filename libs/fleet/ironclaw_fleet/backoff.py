"""How long to wait before a process is started again."""

STABLE_SECONDS = 30.0
_SHORTEST_SECONDS = 0.2
_LONGEST_SECONDS = 10.0
_LONGEST_ONCE_READY_SECONDS = 1.0


def delay(failures: int, *, was_ready: bool) -> float:
    """Return the wait before the next start after so many failures in a row, in seconds.

    One that had been ready was killed rather than set up wrongly: others need it back, so it waits less.
    """
    doublings = min(max(0, failures - 1), 16)
    longest = _LONGEST_ONCE_READY_SECONDS if was_ready else _LONGEST_SECONDS
    return min(_SHORTEST_SECONDS * 2**doublings, longest)


def failures_after(failures: int, lived_seconds: float) -> int:
    """Return the failures in a row once a process ended; a life long enough forgives the earlier ones."""
    return 1 if lived_seconds > STABLE_SECONDS else failures + 1
