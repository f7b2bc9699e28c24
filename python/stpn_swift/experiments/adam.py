"""Adam (Kingma & Ba 2015, algorithm 1) on one vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Adam:
    """Updates a vector in place, without a new array in any step.

    Parameters
    ----------
    parameters
        (N), float32 or float64: the vector to optimise, say that of a network whose arrays are views of it.
    lr, betas, eps
        As in the paper.
    """

    def __init__(
        self, parameters: Array, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.parameters = parameters
        self.lr = lr
        self.betas = betas
        self.eps = eps
        self.mean = np.zeros_like(parameters)
        self.square = np.zeros_like(parameters)
        self.steps = np.zeros((), dtype=np.int64)
        self._scratch = np.empty_like(parameters)

    def step(self, gradient: Array) -> None:
        """Goes one step down the gradient (N)."""
        beta1, beta2 = self.betas
        self.steps += 1
        steps = int(self.steps)
        scratch = self._scratch

        self.mean *= beta1
        np.multiply(gradient, 1 - beta1, out=scratch)
        self.mean += scratch

        self.square *= beta2
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - beta2
        self.square += scratch

        np.sqrt(self.square, out=scratch)
        scratch /= math.sqrt(1 - beta2**steps)
        scratch += self.eps
        np.divide(self.mean, scratch, out=scratch)
        scratch *= self.lr / (1 - beta1**steps)
        self.parameters -= scratch

    def state(self) -> dict[str, Array]:
        """The arrays, live, that make the next step what it is."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}
