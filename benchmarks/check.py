"""Nothing is timed whose results are wrong."""

from __future__ import annotations

import numpy as np

from .choice import work_of
from .networks import Network
from .peers import Peer, as_array
from .problem import Arrays, Problem
from .rows import Row

# Tests/golden/README.md: |a - b| <= tolerance * max(1, largest |b| of the array)
TOLERANCE = {"float64": 1e-12, "float32": 1e-5}

# How many single steps or updates, which go on from each other, are done before they are compared.
STEPS = 3


class WrongResult(Exception):
    """A peer computes another network than the reference, or computes it too inexactly."""


def results(problem: Problem, peer: Peer | Network) -> Arrays:
    """What the peer's work gives, the first time that it does it."""
    row = problem.row
    work = work_of(peer, row)
    for _ in range(STEPS if row.work in ("single step", "update") else 1):
        given = work()
    if row.work == "single step":
        y, state = given
        given = {"y": y, **state}
    # PyTorch has None for the gradient of what nothing depends on: after one step, of Λ and Γ.
    return {
        key: np.zeros_like(problem.params[key]) if value is None else as_array(value)
        for key, value in given.items()
    }


def check(row: Row, name: str, dtype: str, computed: Arrays, reference: Arrays) -> None:
    """The results of a peer in a dtype against those of the reference in float64; raises WrongResult."""
    for key, b in reference.items():
        a = computed[key]
        bound = TOLERANCE[dtype] * max(1.0, float(np.abs(b).max()))
        worst = float(np.abs(a - b).max()) if a.shape == b.shape else np.inf
        if not worst <= bound:
            raise WrongResult(
                f"{row.name}: {name}, {dtype}: {key} is off by {worst:.2g}, {bound:.2g} is allowed"
            )
