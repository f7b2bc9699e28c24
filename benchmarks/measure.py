"""How it is measured: the peers take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import stpn_swift
import torch

from .choice import work_of
from .networks import Network
from .peers import Peer, renew_threads
from .rows import Row

# Seconds before a peer's turn, for the threads of the one before: those of PyTorch go on spinning for a while
# and would take the other cores from whoever comes next.
PAUSE = 0.02
# Timed calls of a peer in its turn, and milliseconds that they take, both at least; after a call that is not
# timed: that one finds the caches filled by another.
CALLS_IN_TURN = 3
TURN = 5.0
# Milliseconds above which a call fills the caches itself, and is the turn's only one. The first one after the
# turn of another may find its memory given back to the system, and take 80 ms more.
LONG_CALL = 500.0
MIN_TURNS = 5


@dataclass(frozen=True)
class Timing:
    """Milliseconds of one call."""

    median: float
    first_quartile: float
    third_quartile: float
    calls: int


@contextmanager
def limited(threads: int) -> Iterator[None]:
    """So many threads for every library that is measured, on so many cores: JAX makes a thread for each core
    that it may use, and has no other limit."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(cores)[:threads])
    torch.set_num_threads(threads)
    stpn_swift.set_num_threads(threads)
    renew_threads()
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def time_call(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1e3


def summary(times: list[float]) -> Timing:
    first, median, third = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(median, first, third, len(times))


def take_turn(call: Callable[[], object]) -> list[float]:
    time.sleep(PAUSE)
    first = time_call(call)
    if first > LONG_CALL:
        return [first]
    times: list[float] = []
    end = time.perf_counter() + TURN / 1e3
    while len(times) < CALLS_IN_TURN or time.perf_counter() < end:
        times.append(time_call(call))
    return times


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def measure(row: Row, peers: dict[str, Peer | Network], seconds: float) -> dict[str, Timing]:
    """Times all peers in turn, for so many seconds and MIN_TURNS turns at least."""
    calls = {name: work_of(peer, row) for name, peer in peers.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    with undisturbed():
        turns, end = 0, time.perf_counter() + seconds
        while turns < MIN_TURNS or time.perf_counter() < end:
            for name, call in calls.items():
                times[name] += take_turn(call)
            turns += 1
    return {name: summary(values) for name, values in times.items()}
