"""Run measurements, each module in a process of its own, and print one table.

    python -m bench [NAME ...] [--json FILE]

NAME is a module of this folder with a function `rows() -> list[Row]`; without any, all of `SUITES` run. Those
of `BY_NAME` take minutes and run only when they are named.
"""

import argparse
import importlib
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from bench.report import Row, machine, table

SUITES = (
    "chat",
    "orders",
    "process",
    "handover",
    "ledger",
    "appending",
    "milestones",
    "heartbeats",
    "learning",
)
BY_NAME = ("capacity", "growth", "orders_growth")


def one(name: str) -> list[Row]:
    """Measure one module in a process of its own, where memory and imports of another leave no trace."""
    done = subprocess.run([sys.executable, "-m", "bench", "--one", name], stdout=subprocess.PIPE, check=False)
    if done.returncode:
        raise SystemExit(f"bench {name} failed with status {done.returncode}")
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Row])


def main() -> None:
    """Print the table, and write it as JSON where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SUITES + BY_NAME)}")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", metavar="NAME", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        rows = importlib.import_module(f"bench.{given.one}").rows()
        print(msgspec.json.encode(rows).decode())
        return
    unknown = [name for name in given.names if name not in SUITES + BY_NAME]
    if unknown:
        parser.error(f"no such measurement: {', '.join(unknown)}; there are {', '.join(SUITES + BY_NAME)}")
    rows: list[Row] = []
    print(machine(), flush=True)
    for name in given.names or SUITES:
        started = time.monotonic()
        rows += one(name)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    print(table(rows))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        document = {"machine": machine(), "rows": rows}
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")


if __name__ == "__main__":
    main()
