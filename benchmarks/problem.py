"""The network and the data of a row: the same numbers for every peer, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import stpn_swift
from numpy.typing import NDArray

from .rows import Row

Array = NDArray[Any]
Arrays = dict[str, Array]


# What initial parameters are multiplied by, so that F matters, and yet a rounding error dies out: with the
# initial values themselves it grows from step to step, and after 50 float32 could not be checked.
FACTORS: dict[str, dict[str, float]] = {
    "stpn": {"weight": 3, "weight_gamma": 300},
    "hebbff": {},
    "fast_weights": {"layer_norm.weight": 0.2},
    "modulated": {},
}


@dataclass(frozen=True)
class Problem:
    """A cell with its inputs, in one precision."""

    row: Row
    x: Array  # (B,T,I)
    grad_y: Array  # (B,T,H): gradient of the loss for the activations
    params: Arrays  # by the names of docs/cells.md

    def astype(self, dtype: str) -> Problem:
        params = {name: value.astype(dtype) for name, value in self.params.items()}
        return Problem(self.row, self.x.astype(dtype), self.grad_y.astype(dtype), params)


def draw(row: Row, seed: int = 0) -> Problem:
    """Initial parameters, but for FACTORS, and normal inputs, in numbers that float32 holds exactly."""
    rng = np.random.default_rng(seed)
    params = stpn_swift.cell_from_config(row.config, seed=rng).params
    for name, factor in FACTORS[row.config["cell"]].items():
        params[name] = np.asarray(params[name] * factor)
    x = rng.standard_normal((row.B, row.T, row.I))
    grad_y = rng.standard_normal((row.B, row.T, row.H))
    return Problem(row, x, grad_y, params).astype("float32").astype("float64")
