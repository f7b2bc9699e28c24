"""Check, measure, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from . import report
from .check import WrongResult, check, results
from .measure import Timing, measure, set_threads
from .peers import PEERS, REFERENCE, peers_of
from .problem import draw
from .rows import ROWS, Row


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=report.__doc__)
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1], metavar="N", help="default: 2 1")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="for each row and thread count (default: 5)"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows whose name holds this text")
    parser.add_argument(
        "--without",
        default=[],
        nargs="+",
        metavar="TEXT",
        help="no peers whose name holds one of these texts",
    )
    parser.add_argument(
        "--unroll",
        type=int,
        default=20,
        metavar="T",
        help="compile whole sequences of at most T steps; 50 take a minute or more a row (default: 20)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with results written earlier")
    return parser.parse_args()


def run(
    row: Row, names: list[str], threads: list[int], seconds: float
) -> Iterator[tuple[int, dict[str, Timing]]]:
    """Checks the peers in both precisions, and times them on each number of threads.

    Compiled code is checked in float32 alone, the precision that is timed: compiling takes its time.
    """
    torch.compiler.reset()  # or the functions of former rows count against the limit of recompilations
    problem = draw(row)
    reference = results(row, PEERS[REFERENCE](problem))
    for name in names:
        if not name.startswith("compiled"):
            check(row, name, PEERS[name](problem), "float64", reference)
    for number in threads:
        set_threads(number)  # before a peer compiles, which it does for this number
        peers = {name: PEERS[name](problem.astype("float32")) for name in names}
        for name, peer in peers.items():
            check(row, name, peer, "float32", reference)
        yield number, measure(row, peers, seconds)


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
    entries: list[dict[str, Any]] = []
    status = 0
    for row in rows:
        names = peers_of(row, options.without, options.unroll)
        try:
            for threads, timings in run(row, names, options.threads, options.seconds):
                entries += [report.entry(row, threads, peer, timing) for peer, timing in timings.items()]
                print(report.table(row, threads, timings), end="\n\n", flush=True)
        except WrongResult as wrong:
            print(f"not timed, as results are wrong: {wrong}", file=sys.stderr)
            status = 1

    for line in (*report.ratios(entries), *report.comparison(earlier, entries)):
        print(line)
    if options.json:
        report.write(options.json, facts, entries)
    return status


if __name__ == "__main__":
    sys.exit(main())
