"""Check, measure, report."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from . import report
from .check import WrongResult, check
from .measure import measure
from .rows import ROWS


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=report.__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1], metavar="N", help="default: 2 1")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each row and thread count (default: 5)"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name holds this text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with results written earlier")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    try:
        earlier = report.read(options.compare) if options.compare else []
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    rows = [row for row in ROWS if options.only in row.name]
    if not rows:
        print(f"no row holds {options.only!r}", file=sys.stderr)
        return 2

    facts = report.environment()
    print(report.header(facts), end="\n\n")
    try:
        for row in rows:
            check(row)
    except WrongResult as wrong:
        print(f"not timed, as results are wrong: {wrong}", file=sys.stderr)
        return 1

    entries: list[dict[str, Any]] = []
    for threads in options.threads:
        for row in rows:
            timings = measure(row, threads, options.seconds)
            entries += [report.entry(row, threads, peer, timing) for peer, timing in timings.items()]
            print(report.table(row, threads, timings), end="\n\n", flush=True)
    for line in report.comparison(earlier, entries):
        print(line)
    if options.json:
        report.write(options.json, facts, entries)
    return 0


if __name__ == "__main__":
    sys.exit(main())
