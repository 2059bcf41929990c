"""Measure how much of the machine this process takes."""

import psutil

from ironclaw_contracts.poi.envelopes import Load


class LoadMeter:
    """CPU since the last measurement, and memory now, as shares of the machine."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        self._process.cpu_percent()  # the first call only begins the interval

    def measure(self, pending_jobs: int) -> Load:
        """Return the load; `pending_jobs` is what the service says."""
        cpu = self._process.cpu_percent() / 100 / self._cores
        memory = self._process.memory_percent() / 100
        return Load(cpu=min(1.0, cpu), mem=min(1.0, memory), pending_jobs=pending_jobs)
