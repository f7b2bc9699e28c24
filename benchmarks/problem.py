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

# Of Adam. ε is as large as the rate: an update is then as exact as its gradients, where a smaller one
# magnifies the rounding errors of those that are near 0.
RATE, EPSILON = 1e-3, 1e-3

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
    readout: Arrays  # weight (I,H) and bias (I), of an update
    targets: Array  # (B), from 0 to I - 1, the same

    def astype(self, dtype: str) -> Problem:
        params, readout = (
            {name: value.astype(dtype) for name, value in arrays.items()}
            for arrays in (self.params, self.readout)
        )
        x, grad_y = self.x.astype(dtype), self.grad_y.astype(dtype)
        return Problem(self.row, x, grad_y, params, readout, self.targets)


def draw(row: Row, seed: int = 0) -> Problem:
    """Initial parameters, but for FACTORS, and normal inputs, in numbers that float32 holds exactly."""
    rng = np.random.default_rng(seed)
    params = stpn_swift.cell_from_config(row.config, seed=rng).params
    for name, factor in FACTORS[row.config["cell"]].items():
        params[name] = np.asarray(params[name] * factor)
    x = rng.standard_normal((row.B, row.T, row.I))
    grad_y = rng.standard_normal((row.B, row.T, row.H))
    k = row.H**-0.5
    readout = {"weight": rng.uniform(-k, k, (row.I, row.H)), "bias": rng.uniform(-k, k, row.I)}
    targets = rng.integers(row.I, size=row.B)
    return Problem(row, x, grad_y, params, readout, targets).astype("float32").astype("float64")
