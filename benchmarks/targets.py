"""What the library is meant to reach, and whether a run shows it. To add a target, write its line in
TARGETS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from .report import duration, megabytes
from .results import Results
from .rows import EPISODE, IN_FLOAT64, PONG, RETRIEVAL, ROLLOUT, SIZES, Dtype, Row, Size, Work

OURS = "stpn_swift"
NUMPY = "stpn_swift, NumPy"
TORCH = "stpn_swift, PyTorch"
EAGER = "eager PyTorch"
COMPILED = "compiled PyTorch"
AVX2 = "stpn_swift on x86-64-v3"
# The threads of figures that name no other number.
THREADS = 2
SMALL = (RETRIEVAL,)
LARGER = SIZES[1:]


class Figure(NamedTuple):
    value: float
    of: str


Figures = Callable[[Results], Iterator[Figure]]


@dataclass(frozen=True)
class Target:
    """A bound that the worst of its figures has to keep: they are at least so much, or at most."""

    measure: str
    figures: Figures
    bound: float
    at_most: bool = False
    show: Callable[[float], str] = "{:.2f}".format

    def holds(self, value: float) -> bool:
        return value <= self.bound if self.at_most else value >= self.bound


def stpnr(work: Work, size: Size, dtype: Dtype = "float32") -> Row:
    return Row(work, "STPNR pre", *size, dtype)


def against(peers: str, work: Work, sizes: tuple[Size, ...], results: Results) -> Iterator[Figure]:
    """How many times as long as ours the fastest of the peers takes."""
    for size in sizes:
        row = stpnr(work, size).name
        ours, other = results.best(row, OURS, THREADS), results.best(row, peers, THREADS)
        if ours and other:
            yield Figure(other["median"] / ours["median"], f"{row}, {other['peer']} against {ours['peer']}")


def forward_share(results: Results) -> Iterator[Figure]:
    """Of the multiply-adds that one thread can do."""
    for size in LARGER:
        row = stpnr("forward", size).name
        ours = results.best(row, OURS, 1)
        if ours and "multiply_adds" in ours:
            yield Figure(ours["multiply_adds"], f"{row}, {ours['peer']}")


def backward_share(results: Results) -> Iterator[Figure]:
    """The same of what a training step does beyond a forward pass, in the time that it takes longer."""
    for size in LARGER:
        row = stpnr("training step", size).name
        whole = results.best(row, OURS, 1)
        part = whole and results.best(stpnr("forward", size).name, whole["peer"], 1)
        if whole and part and "multiply_adds" in whole and "multiply_adds" in part:
            work = [e["multiply_adds"] * e["median"] for e in (whole, part)]
            share = (work[0] - work[1]) / (whole["median"] - part["median"])
            yield Figure(share, f"{row}, {whole['peer']}")


def second_thread(results: Results) -> Iterator[Figure]:
    for size in LARGER:
        row = stpnr("training step", size).name
        one, two = results.best(row, OURS, 1), results.best(row, OURS, 2)
        if one and two:
            yield Figure(one["median"] / two["median"], f"{row}, {two['peer']}")


def avx2(results: Results) -> Iterator[Figure]:
    for size in SIZES:
        row = stpnr("training step", size).name
        fastest, other = results.best(row, NUMPY, THREADS), results.best(row, AVX2, THREADS)
        if fastest and other:
            yield Figure(other["median"] / fastest["median"], f"{row}, NumPy")


def float64(results: Results) -> Iterator[Figure]:
    for size in IN_FLOAT64:
        single, double = stpnr("training step", size).name, stpnr("training step", size, "float64").name
        short, long = results.best(single, OURS, THREADS), results.best(double, OURS, THREADS)
        if short and long:
            yield Figure(long["median"] / short["median"], f"{single}, {short['peer']}")


def episode_memory(results: Results) -> Iterator[Figure]:
    for entry in results.memory:
        if entry["row"] == EPISODE.name and entry["peer"] in (NUMPY, TORCH) and entry["bytes"] is not None:
            yield Figure(entry["bytes"], f"{entry['row']}, {entry['peer']}")


def time_of(peer: str, rows: tuple[Row, ...], results: Results) -> Iterator[Figure]:
    for row in rows:
        if entry := results.best(row.name, peer, THREADS):
            yield Figure(entry["median"], f"{row.name}, {entry['peer']}")


def beside_neighbour(results: Results) -> Iterator[Figure]:
    """What one call of a hundred exceeds, over the median of the idle machine."""
    for entry in results.neighbour:
        if entry["threads"] == THREADS:
            yield Figure(entry["percentile_99"] / entry["idle"], f"{entry['row']}, {entry['peer']}")


PONG_STEPS = (stpnr("forward", PONG[0]), stpnr("single step", PONG[0]))
share = "{:.0%}".format

TARGETS = (
    Target("training step against eager PyTorch, small", partial(against, EAGER, "training step", SMALL), 12),
    Target("training step against eager PyTorch", partial(against, EAGER, "training step", LARGER), 20),
    Target(
        "training step against torch.compile, small", partial(against, COMPILED, "training step", SMALL), 4
    ),
    Target("training step against torch.compile", partial(against, COMPILED, "training step", LARGER), 6),
    Target("training step against JAX, small", partial(against, "JAX", "training step", SMALL), 8),
    Target("training step against JAX", partial(against, "JAX", "training step", LARGER), 25),
    Target("forward against torch.compile, small", partial(against, COMPILED, "forward", SMALL), 1.5),
    Target("forward against torch.compile", partial(against, COMPILED, "forward", LARGER), 2.5),
    Target("of one thread's multiply-adds, forward", forward_share, 0.5, show=share),
    Target("of one thread's multiply-adds, backward", backward_share, 0.4, show=share),
    Target("2 threads against 1, training step", second_thread, 1.8),
    Target("AVX2 against AVX-512, training step", avx2, 1.8, at_most=True),
    Target("float64 against float32, training step", float64, 2.3, at_most=True),
    Target("memory of an episode's training step", episode_memory, 150e6, at_most=True, show=megabytes),
    Target(
        "rollout step through NumPy", partial(time_of, NUMPY, (ROLLOUT,)), 0.005, at_most=True, show=duration
    ),
    Target(
        "rollout step through PyTorch",
        partial(time_of, TORCH, (ROLLOUT,)),
        0.012,
        at_most=True,
        show=duration,
    ),
    Target(
        "Pong's cell, one agent and step",
        partial(time_of, OURS, PONG_STEPS),
        0.035,
        at_most=True,
        show=duration,
    ),
    Target("beside a busy process against idle", beside_neighbour, 3, at_most=True),
)


def verdicts(results: Results) -> Iterator[str]:
    """A line for each target of which something was measured: its worst figure, and whether it keeps the
    bound."""
    for target in TARGETS:
        figures = sorted(target.figures(results), reverse=not target.at_most)
        if figures:
            value, of = figures[-1]
            bound = f"{'at most' if target.at_most else 'at least'} {target.show(target.bound)}"
            holds = "holds" if target.holds(value) else "does not hold"
            worst = "" if len(figures) == 1 else f", worst of {len(figures)}"
            yield f"{target.measure:<44}{target.show(value):>9}  {bound:<18}{holds:<15}{of}{worst}"
