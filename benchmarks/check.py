"""Nothing is timed whose results are wrong."""

from __future__ import annotations

import numpy as np

from .peers import Peer, as_arrays
from .problem import Arrays
from .rows import Row

# Tests/golden/README.md: |a - b| <= tolerance * max(1, largest |b| of the array)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}


class WrongResult(Exception):
    """A peer computes another network than the reference, or computes it too inexactly."""


def results(row: Row, peer: Peer) -> Arrays:
    return as_arrays(peer.forward() if row.work == "forward" else peer.train())


def check(row: Row, name: str, peer: Peer, dtype: str, reference: Arrays) -> None:
    """The results of a peer in a dtype against those of the reference in float64; raises WrongResult."""
    computed = results(row, peer)
    for key, b in reference.items():
        a = computed[key]
        bound = TOLERANCE[dtype] * max(1.0, float(np.abs(b).max()))
        worst = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
        if not worst <= bound:
            raise WrongResult(
                f"{row.name}: {name}, {dtype}: {key} is off by {worst:.2g}, {bound:.2g} is allowed"
            )
