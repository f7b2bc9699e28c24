"""How it is measured: the peers take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

import stpn_swift

from .peers import PEERS
from .problem import draw
from .rows import Row

WARM_UP = 3
MIN_ROUNDS = 10


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call."""

    median: float
    first_quartile: float
    third_quartile: float
    calls: int


def set_threads(threads: int) -> None:
    """For every library that is measured."""
    torch.set_num_threads(threads)
    stpn_swift.set_num_threads(threads)


def time_call(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def summary(times: list[float]) -> Timing:
    first, median, third = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, first, third, len(times))


def measure(row: Row, threads: int, seconds: float) -> dict[str, Timing]:
    """Times every peer on a row in float32, one call of each in turn, for so many seconds and MIN_ROUNDS at least."""
    set_threads(threads)
    problem = draw(row).astype("float32")
    peers = {name: make(problem) for name, make in PEERS.items()}
    calls = {name: peer.forward if row.work == "forward" else peer.train for name, peer in peers.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(times[next(iter(times))]) < MIN_ROUNDS:
            for name, call in calls.items():
                times[name].append(time_call(call))
    finally:
        gc.enable()
    return {name: summary(values) for name, values in times.items()}
