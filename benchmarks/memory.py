"""The memory of a training step beyond its inputs and outputs, each in a process of its own:
`python -m benchmarks.memory ROW PEER THREADS`, the row as JSON, prints the bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from .check import results
from .measure import limited
from .peers import PEERS
from .problem import draw
from .results import Entry, family
from .rows import Row

ROOT = Path(__file__).resolve().parents[1]
# As large as F, that a peer of the family keeps of each step for the backward pass: roughly, and rather more.
MATRICES_KEPT = {"stpn_swift": 0, "eager PyTorch": 10, "compiled PyTorch": 3, "JAX": 5}
# Of the memory that is free: more is not asked for.
PART = 0.5


def kilobytes(file: str, name: str) -> int:
    """Of an entry of /proc."""
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def resident() -> int:
    return 1024 * kilobytes("/proc/self/status", "VmRSS")


def peak() -> int:
    return 1024 * kilobytes("/proc/self/status", "VmHWM")


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def estimate(row: Row, name: str) -> int:
    """Bytes that a peer may need, roughly: what it keeps of all steps."""
    K = row.I + row.H
    return MATRICES_KEPT[family(name)] * row.T * row.B * row.H * K * (4 if row.dtype == "float32" else 8)


def fits(row: Row, name: str) -> bool:
    return estimate(row, name) < PART * 1024 * kilobytes("/proc/meminfo", "MemAvailable")


def measure(row: Row, name: str, threads: int) -> int:
    """In this process. A small row comes first, so that libraries and threads are there, and a call before
    the one that is measured, which may compile."""
    with limited(threads):
        small = replace(row, B=2, T=2)
        PEERS[name](draw(small).astype(row.dtype)).train()
        problem = draw(row).astype(row.dtype)
        peer = PEERS[name](problem)
        before = resident()
        peer.train()
        forget_peak()
        outputs = sum(array.nbytes for array in results(problem, peer).values())
    return peak() - before - outputs


def measure_apart(row: Row, name: str, threads: int) -> int:
    """In a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", json.dumps(asdict(row)), name, str(threads)]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(run.stdout)


def entry(row: Row, name: str, threads: int) -> Entry:
    """Bytes; None where the estimate does not fit into the memory that is free."""
    measured = measure_apart(row, name, threads) if fits(row, name) else None
    return {"row": row.name, "threads": threads, "peer": name, "bytes": measured}


if __name__ == "__main__":
    row, name, threads = sys.argv[1:]
    print(measure(Row(**json.loads(row)), name, int(threads)))
