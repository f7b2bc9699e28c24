"""How our calls fare beside a process that keeps one core busy, against what they take on an idle machine."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import stpn_swift
import torch

from .measure import PAUSE, time_call, undisturbed
from .peers import PEERS, work_of
from .problem import draw
from .results import Entry
from .rows import ROLLOUT, SIZES, Row, sequences

OURS = ("stpn_swift, NumPy", "stpn_swift, PyTorch")
ROWS = (*sequences("STPNR pre", SIZES), ROLLOUT)
# A hundredth of them is a call.
MIN_CALLS = 100
# Seconds that the neighbour is given to begin.
START = 0.5


@contextmanager
def busy_core() -> Iterator[subprocess.Popen[bytes]]:
    """Another process that computes without end, on the last core that this one may use."""
    core = max(os.sched_getaffinity(0))
    loop = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", loop]) as neighbour:
        try:
            time.sleep(START)
            yield neighbour
        finally:
            neighbour.kill()


def times_of(call: Callable[[], object], seconds: float) -> list[float]:
    """Milliseconds of each call, in order; one is not counted."""
    time.sleep(PAUSE)
    call()
    times: list[float] = []
    with undisturbed():
        end = time.perf_counter() + seconds
        while len(times) < MIN_CALLS or time.perf_counter() < end:
            times.append(time_call(call))
    return sorted(times)


def entries(row: Row, threads: int, seconds: float) -> Iterator[Entry]:
    """Milliseconds of our peers: the median and the longest on the idle machine; beside the neighbour the
    median, what one call of a hundred exceeds, and the longest."""
    problem = draw(row).astype(row.dtype)
    stpn_swift.set_num_threads(threads)
    torch.set_num_threads(threads)
    with torch.set_grad_enabled(row.trains):
        for name in OURS:
            call = work_of(PEERS[name](problem), row)
            idle = times_of(call, seconds)
            with busy_core():
                busy = times_of(call, seconds)
            yield {
                "row": row.name,
                "threads": threads,
                "peer": name,
                "idle": statistics.median(idle),
                "idle_longest": idle[-1],
                "median": statistics.median(busy),
                "percentile_99": statistics.quantiles(busy, n=100, method="inclusive")[98],
                "longest": busy[-1],
                "calls": len(busy),
            }
