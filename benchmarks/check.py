"""Nothing is timed whose results are wrong."""

from __future__ import annotations

import numpy as np

from .peers import PEERS, REFERENCE, as_arrays
from .problem import Arrays, draw
from .rows import Row

# Tests/golden/README.md: |a - b| <= tolerance * max(1, largest |b| of the array)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


class WrongResult(Exception):
    """A peer computes another network than the reference, or computes it too inexactly."""


def results(row: Row, peer: str, dtype: str) -> Arrays:
    runner = PEERS[peer](draw(row).astype(dtype))
    return as_arrays(runner.forward() if row.work == "forward" else runner.train())


def check(row: Row) -> None:
    """Every peer in both precisions against the reference in float64; raises WrongResult."""
    reference = results(row, REFERENCE, "float64")
    for peer in PEERS:
        for dtype, tolerance in TOLERANCE.items():
            computed = results(row, peer, dtype)
            for key, b in reference.items():
                a = computed[key]
                bound = tolerance * max(1.0, float(np.abs(b).max()))
                worst = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
                if not worst <= bound:
                    raise WrongResult(
                        f"{row.name}: {peer}, {dtype}: {key} is off by {worst:.2g}, {bound:.2g} is allowed"
                    )
