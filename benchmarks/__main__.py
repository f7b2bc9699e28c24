"""Check, measure, report."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import stpn_swift
import torch

from . import __doc__ as package_documentation
from . import memory, neighbour, report
from .check import WrongResult, check, results
from .choice import REFERENCE, Peers, all_of, peers_of
from .limits import Limits, measure_limits, shares
from .measure import limited, measure
from .problem import Arrays, Problem, draw
from .results import Entry, Results, read_times
from .rows import EPISODE, ROWS, Row
from .targets import verdicts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=package_documentation)
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
    available = [name for name, here in stpn_swift.show_config("dicts")["implementations"].items() if here]
    parser.add_argument(
        "--isa",
        default=[],
        nargs="+",
        choices=available,
        metavar="NAME",
        help=f"also stpn_swift by these of its implementations: {', '.join(available)}",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="also the memory of training steps, and of one on a whole episode of the maze",
    )
    parser.add_argument(
        "--neighbour", action="store_true", help="also stpn_swift beside a process that keeps a core busy"
    )
    parser.add_argument("--untimed", action="store_true", help="nothing but --memory and --neighbour")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results")
    parser.add_argument("--compare", type=Path, metavar="FILE", help="compare with results written earlier")
    return parser.parse_args()


def checked_reference(row: Row, problem: Problem, peers: Peers) -> Arrays:
    """What all peers have to compute, in float64, after those were checked that do it without being compiled:
    to compile takes its time, and compiled code is checked in the precision that is timed."""
    with torch.set_grad_enabled(row.trains):
        reference = results(problem, all_of(row)[REFERENCE](problem))
        for name, peer in peers.items():
            if "compiled" not in name:
                check(row, name, "float64", results(problem, peer(problem)), reference)
    return reference


def time_on(
    threads: int, row: Row, problem: Problem, peers: Peers, reference: Arrays, seconds: float
) -> list[Entry]:
    """Checks the peers once more, in the row's precision, and times them."""
    ready = {}
    first: dict[str, float] = {}
    with limited(threads), torch.set_grad_enabled(row.trains):
        for name, peer in peers.items():
            start = time.perf_counter()
            ready[name] = peer(problem)
            computed = results(problem, ready[name])
            first[name] = time.perf_counter() - start
            check(row, name, row.dtype, computed, reference)
        timings = measure(row, ready, seconds)
    return [
        {"row": row.name, "threads": threads, "peer": name, **asdict(timing), "first_result": first[name]}
        for name, timing in timings.items()
    ]


def add_shares(row: Row, entries: list[Entry], limits: Limits | None) -> None:
    """To those that are ours; what a network has beside its cell is not counted."""
    for entry in entries:
        if limits and row.work != "update" and entry["peer"].startswith("stpn_swift"):
            entry.update(shares(row, entry["median"], limits))


def time_rows(rows: list[Row], options: argparse.Namespace, found: Results) -> int:
    status = 0
    for row in rows:
        torch.compiler.reset()  # or the functions of former rows count against the limit of recompilations
        peers = peers_of(row, options.without, options.unroll, options.isa)
        problem = draw(row)
        try:
            reference = checked_reference(row, problem, peers)
            for threads in options.threads:
                entries = time_on(threads, row, problem.astype(row.dtype), peers, reference, options.seconds)
                add_shares(row, entries, found.limits_of(threads))
                found.times += entries
                print(report.table(entries), end="\n\n", flush=True)
        except WrongResult as wrong:
            print(f"not timed, as results are wrong: {wrong}", file=sys.stderr)
            status = 1
    for line in report.ratios(found):
        print(line)
    return status


def measure_memory(rows: list[Row], options: argparse.Namespace, found: Results) -> None:
    threads = options.threads[0]
    for row in rows:
        for name in peers_of(row, options.without, options.unroll, []):
            found.memory.append(memory.entry(row, name, threads))
            print(report.memory_line(found.memory[-1]), flush=True)


def measure_neighbour(rows: list[Row], options: argparse.Namespace, found: Results) -> None:
    for row in rows:
        for threads in options.threads:
            for entry in neighbour.entries(row, threads, options.seconds):
                found.neighbour.append(entry)
                print(report.neighbour_line(entry), flush=True)


@contextmanager
def nothing_compiled() -> Iterator[None]:
    """Yet: torch.compile else takes over what it compiled in earlier runs, and compiling is timed as well."""
    with TemporaryDirectory() as cache, mock.patch.dict(os.environ, TORCHINDUCTOR_CACHE_DIR=cache):
        yield


def main() -> int:
    options = arguments()
    try:
        earlier = read_times(options.compare) if options.compare else []
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2

    def chosen(rows: Iterable[Row]) -> list[Row]:
        return [row for row in rows if options.only in row.name]

    if not chosen((*ROWS, EPISODE)):
        print(f"no row holds {options.only!r}", file=sys.stderr)
        return 2

    found = Results(report.environment())
    print(report.header(found.facts))
    for threads in options.threads:
        limits = measure_limits(threads)
        found.limits += [limits] if limits else []
        print(report.limits_line(threads, limits), flush=True)
    print()

    status = 0
    with nothing_compiled():
        if not options.untimed:
            status = time_rows(chosen(ROWS), options, found)
        if options.memory:
            training_steps = [row for row in chosen((*ROWS, EPISODE)) if row.work == "training step"]
            measure_memory(training_steps, options, found)
    if options.neighbour:
        measure_neighbour(chosen(neighbour.ROWS), options, found)

    for line in (*report.comparison(earlier, found.times), *verdicts(found)):
        print(line)
    if options.json:
        found.write(options.json)
    return status


if __name__ == "__main__":
    sys.exit(main())
