"""The network and the data of a row: the same numbers for every peer, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .rows import Row

Array = NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Problem:
    """An STPNR with its inputs, in one precision."""

    row: Row
    x: Array  # (B,T,I)
    grad_y: Array  # (B,T,H): gradient of the loss for the activations
    params: Arrays  # docs/cells.md, section 1

    def astype(self, dtype: str) -> Problem:
        params = {name: value.astype(dtype) for name, value in self.params.items()}
        return Problem(self.row, self.x.astype(dtype), self.grad_y.astype(dtype), params)


def draw(row: Row, seed: int = 0) -> Problem:
    """Parameters as they are initially and normal inputs, in numbers that float32 holds exactly."""
    rng = np.random.default_rng(seed)
    H, K = row.H, row.I + row.H
    k = H**-0.5
    params = {
        "weight": rng.uniform(-k, k, (H, K)),
        "bias": rng.uniform(-k, k, H),
        "weight_lambda": rng.uniform(0, 1, (H, K)),
        "weight_gamma": rng.uniform(-0.001 * k, 0.001 * k, (H, K)),
    }
    x = rng.standard_normal((row.B, row.T, row.I))
    grad_y = rng.standard_normal((row.B, row.T, row.H))
    return Problem(row, x, grad_y, params).astype("float32").astype("float64")
