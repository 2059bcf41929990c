"""One measured row: our figure, the baseline's of the same run, and the aim."""

import operator
import os
import platform
import statistics
from collections.abc import Callable, Sequence

import msgspec

COMPARE: dict[str, Callable[[float, float], bool]] = {">=": operator.ge, "<=": operator.le}


class Aim(msgspec.Struct, frozen=True):
    """What a figure should come to."""

    relation: str
    """`>=` or `<=`."""
    bound: float
    of: str = "ratio"
    """Whether the bound is on the `ratio` to the baseline, or on `ours`."""

    def holds(self, ours: float, ratio: float | None) -> bool:
        """Return whether a row reaches the aim."""
        figure = ours if self.of == "ours" else ratio
        return figure is not None and COMPARE[self.relation](figure, self.bound)


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of the table."""

    what: str
    unit: str
    ours: float
    """Median of our rounds, in `unit`."""
    baseline: float | None = None
    """Median of the baseline's rounds, measured in turn with ours."""
    baseline_name: str = ""
    ratio: float | None = None
    """Median over the pairs of rounds, so that a slow moment of the machine weighs on both sides."""
    rounds: int = 1
    aims: tuple[Aim, ...] = ()
    note: str = ""

    @property
    def holds(self) -> bool | None:
        """Whether every aim is reached; none where there is no aim."""
        return all(aim.holds(self.ours, self.ratio) for aim in self.aims) if self.aims else None


def paired(
    what: str,
    unit: str,
    ours: Sequence[float],
    baseline: Sequence[float],
    baseline_name: str,
    *aims: Aim,
    note: str = "",
) -> Row:
    """Return the row of rounds that were measured in turn, ours and the baseline's."""
    return Row(
        what,
        unit,
        round(statistics.median(ours), 3),
        round(statistics.median(baseline), 3),
        baseline_name,
        round(statistics.median([o / b for o, b in zip(ours, baseline, strict=True)]), 3),
        len(ours),
        aims,
        note,
    )


def machine() -> str:
    """Describe the machine in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Python {platform.python_version()}"
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as text."""
    lines = [f"{'what':<58}{'ours':>12}{'baseline':>12}{'ratio':>8}  {'aim':<22}"]
    for row in rows:
        aims = ", ".join(
            f"{aim.relation} {aim.bound:g}{f' {row.unit}' if aim.of == 'ours' else 'x'}" for aim in row.aims
        )
        verdict = {True: "holds", False: "missed", None: ""}[row.holds]
        baseline = "" if row.baseline is None else f"{row.baseline:,.1f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(
            f"{row.what[:57]:<58}{row.ours:>12,.1f}{baseline:>12}{ratio:>8}  {aims:<22}{verdict}"
            f"  [{row.unit}{f'; beside {row.baseline_name}' if row.baseline_name else ''}]"
            f"{f' {row.note}' if row.note else ''}"
        )
    return "\n".join(lines)
