"""What the machine can do at most, measured by limits.c, and what a row asks of it.

Counted is what the fast kernel does for each synapse and step, from Sources/STPNKernel/Rules: multiplications
and fused multiply-adds, as each takes a multiplier of the processor for a cycle. Not counted are additions on
their own, what is done once a neuron (the root, the activation), and padding.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import stpn_swift

from .rows import Row

PROGRAM = Path(__file__).resolve().parents[1] / "build" / "limits"


@dataclass(frozen=True)
class Limits:
    """Of so many threads, a second."""

    threads: int
    multiply_adds: float  # of float32
    bytes_read: float


def measure_limits(threads: int) -> Limits | None:
    """Measures them; None where limits.c is not compiled."""
    if not PROGRAM.exists():
        return None
    run = subprocess.run([PROGRAM, str(threads)], capture_output=True, text=True, check=True)
    multiply_adds, bytes_read = map(float, run.stdout.split())
    return Limits(threads, multiply_adds, bytes_read)


# By `normalize`. G·v; the norm of G. "post" has another norm before, and G = W + s X.
READ = {None: 1, "output": 2, "pre": 2, "post": 4}
# Γ h u, two; Λ F̃ added to it. F̃ = F / n, or s X.
UPDATE = {None: 3, "output": 3, "pre": 4, "post": 4}
# v ∂a, Σ G ∂a, ∂F F̃ and Λ ∂F; G ∂n. "pre" scales ∂F first, "post" also G.
READ_ADJOINT = {None: 4, "output": 5, "pre": 6, "post": 7}
# Γ ∂F, u h, and their sums for Γ, h and u. "pre" has Σ ∂F Λ F for its norm, two; "post" Σ ∂F F, two, and two
# from ∂F to ∂X.
UPDATE_ADJOINT = {None: 5, "output": 5, "pre": 7, "post": 9}


def multiply_adds(row: Row) -> tuple[int, int] | None:
    """Forward, and backward; None for cells that are not counted.

    Backward every state is computed again, and the last update gets no gradient.
    """
    config = row.config
    if config["cell"] not in ("stpn", "hebbff"):
        return None
    normalize = None if config["cell"] == "hebbff" else config.get("normalize", "pre")
    recurrent = config["cell"] == "stpn" and config.get("recurrent", True)
    synapses = row.B * row.H * (row.I + row.H if recurrent else row.I)
    forward = row.T * (READ[normalize] + UPDATE[normalize])
    backward = row.T * READ_ADJOINT[normalize] + (row.T - 1) * (UPDATE[normalize] + UPDATE_ADJOINT[normalize])
    return synapses * forward, synapses * backward if row.trains else 0


def bytes_moved(row: Row) -> int:
    """In and out of a call through the NumPy API: inputs, parameters, outputs and their gradients, and the
    tape, written and read. What the call needs beyond these is counted as staying in the caches."""
    cell = stpn_swift.cell_from_config(row.config, dtype=row.dtype)
    x = np.zeros((row.B, row.T, row.I), row.dtype)
    y = row.B * row.T * row.H * cell.dtype.itemsize
    params = sum(array.nbytes for array in cell.params.values())
    state = sum(array.nbytes for array in cell.initial_state(row.B).values())
    if row.work == "single step":
        return params + x.nbytes + y + 2 * state
    forward = params + x.nbytes + y + state
    return 2 * (forward + cell.forward(x)[2].nbytes) if row.trains else forward


def shares(row: Row, milliseconds: float, limits: Limits) -> dict[str, float]:
    """Of the limits, how much a call of ours makes use of in its time."""
    moved = bytes_moved(row) / limits.bytes_read
    shares = {"bandwidth": moved * 1e3 / milliseconds}
    if counts := multiply_adds(row):
        vectors = 1 if row.dtype == "float32" else 2
        shares["multiply_adds"] = sum(counts) * vectors / limits.multiply_adds * 1e3 / milliseconds
    return shares
