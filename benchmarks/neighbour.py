"""How our calls fare beside a process that keeps one core busy, against what they take on an idle machine."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import stpn_swift
import torch

from .choice import work_of
from .measure import PAUSE, time_call, undisturbed
from .peers import PEERS
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


class Call(NamedTuple):
    milliseconds: float
    interrupted: bool
    """Whether the system took the processor away from the thread that called."""


def interruptions() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def calls_of(call: Callable[[], object], seconds: float) -> list[Call]:
    """Calls one after the other; the first is not counted."""
    time.sleep(PAUSE)
    call()
    calls: list[Call] = []
    with undisturbed():
        end = time.perf_counter() + seconds
        while len(calls) < MIN_CALLS or time.perf_counter() < end:
            before = interruptions()
            milliseconds = time_call(call)
            calls.append(Call(milliseconds, interruptions() > before))
    return calls


def percentile_99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[98]


def entries(row: Row, threads: int, seconds: float) -> Iterator[Entry]:
    """Milliseconds of our peers on the idle machine and beside the neighbour: the median, what one call of a
    hundred exceeds, and the longest; beside the neighbour also of those calls alone whose own thread kept its
    processor, null where there are fewer than two."""
    problem = draw(row).astype(row.dtype)
    stpn_swift.set_num_threads(threads)
    torch.set_num_threads(threads)
    with torch.set_grad_enabled(row.trains):
        for name in OURS:
            work = work_of(PEERS[name](problem), row)
            idle = [call.milliseconds for call in calls_of(work, seconds)]
            with busy_core():
                calls = calls_of(work, seconds)
            busy = [call.milliseconds for call in calls]
            kept = [call.milliseconds for call in calls if not call.interrupted]
            yield {
                "row": row.name,
                "threads": threads,
                "peer": name,
                "idle": statistics.median(idle),
                "idle_percentile_99": percentile_99(idle),
                "idle_longest": max(idle),
                "median": statistics.median(busy),
                "percentile_99": percentile_99(busy),
                "longest": max(busy),
                "calls": len(busy),
                "kept": len(kept),
                "kept_percentile_99": percentile_99(kept) if len(kept) > 1 else None,
                "kept_longest": max(kept) if len(kept) > 1 else None,
            }
