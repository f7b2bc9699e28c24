"""How it is measured: the peers take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import stpn_swift
import torch

from .peers import Peer
from .rows import Row

# Seconds before a peer's turn, for the threads of the one before: those of PyTorch go on spinning for a while
# and would take the other cores from whoever comes next.
PAUSE = 0.02
# Timed calls of a peer in its turn, after one that is not timed: that one finds the caches filled by another.
CALLS_IN_TURN = 3
LONG_TURN = 100.0  # milliseconds after which a turn has no further call
MIN_TURNS = 10


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


def take_turn(call: Callable[[], object]) -> list[float]:
    time.sleep(PAUSE)
    call()
    times = [time_call(call)]
    while len(times) < CALLS_IN_TURN and sum(times) < LONG_TURN:
        times.append(time_call(call))
    return times


def measure(row: Row, peers: dict[str, Peer], seconds: float) -> dict[str, Timing]:
    """Times all peers in turn, for so many seconds and MIN_TURNS turns at least."""
    calls = {name: peer.forward if row.work == "forward" else peer.train for name, peer in peers.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        turns, end = 0, time.perf_counter() + seconds
        while turns < MIN_TURNS or time.perf_counter() < end:
            for name, call in calls.items():
                times[name] += take_turn(call)
            turns += 1
    finally:
        gc.enable()
    return {name: summary(values) for name, values in times.items()}
