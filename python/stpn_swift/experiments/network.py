"""A cell with a linear readout, all of whose parameters lie in one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import Cell
from .readout import cross_entropy, linear, linear_backward

Array = NDArray[Any]


def flatten(arrays: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
    """One vector with the content of all arrays, and by name a view of each array's part in its shape."""
    vector = np.concatenate([array.ravel() for array in arrays.values()])
    ends = np.cumsum([array.size for array in arrays.values()])
    views = {
        name: vector[end - array.size : end].reshape(array.shape)
        for (name, array), end in zip(arrays.items(), ends, strict=True)
    }
    return vector, views


class SequenceClassifier:
    """Reads a sequence with a cell and tells its class from the activations after the last step.

    Parameters
    ----------
    cell
        Its parameters become views of the network's vector.
    classes
        The number of classes, C.
    random
        Draws the readout's weight (C,H) and bias (C) from U(-1/√H, 1/√H).

    Attributes
    ----------
    vector, gradient
        (N): all parameters, and the gradient of the last batch.
    parameters
        Views of `vector` by name: `cell.weight`, …, `readout.weight`, `readout.bias`.
    """

    def __init__(self, cell: Cell, classes: int, random: np.random.Generator) -> None:
        H = cell.hidden_size
        k = H**-0.5
        arrays = {f"cell.{name}": array for name, array in cell.params.items()}
        arrays["readout.weight"] = random.uniform(-k, k, (classes, H)).astype(cell.dtype)
        arrays["readout.bias"] = random.uniform(-k, k, classes).astype(cell.dtype)

        self.cell = cell
        self.vector, self.parameters = flatten(arrays)
        self.gradient, self._gradients = flatten({name: np.zeros_like(a) for name, a in arrays.items()})
        for name in cell.params:
            cell.params[name] = self.parameters[f"cell.{name}"]

    def logits(self, x: Array) -> Array:
        """The scores (B,C) of the classes for sequences x (B,T,I)."""
        y, _ = self.cell(x)
        return self._readout(y[:, -1])

    def loss(self, x: Array, targets: Array) -> tuple[float, int]:
        """The mean cross-entropy of a batch x (B,T,I) with targets (B), and how many it answers right.

        Leaves the gradient of the loss in `gradient`.
        """
        y, _, tape = self.cell.forward(x)
        h = y[:, -1]
        logits = self._readout(h)
        loss, grad_logits = cross_entropy(logits, targets)

        grad_h, grad_weight, grad_bias = linear_backward(grad_logits, h, self.parameters["readout.weight"])
        grad_y = np.zeros_like(y)
        grad_y[:, -1] = grad_h
        for name, grad in self.cell.backward_params(tape, grad_y).items():
            self._gradients[f"cell.{name}"][...] = grad
        self._gradients["readout.weight"][...] = grad_weight
        self._gradients["readout.bias"][...] = grad_bias
        return loss, count_correct(logits, targets)

    def _readout(self, h: Array) -> Array:
        return linear(h, self.parameters["readout.weight"], self.parameters["readout.bias"])


def count_correct(logits: Array, targets: Array) -> int:
    """For how many of the batch the target has the highest of the logits (B,C)."""
    return int(np.count_nonzero(logits.argmax(axis=1) == targets))
