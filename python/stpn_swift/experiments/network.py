"""A cell with a linear readout, all of whose learned parameters lie in one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import Cell
from .readout import cross_entropy, linear, linear_backward

Array = NDArray[Any]


class Response(NamedTuple):
    """What a network answers to a batch: the scores of the classes, `logits` (B,C), and the `energy` (B,T)
    that its neurons used together in each step (docs/cells.md, section 2)."""

    logits: Array
    energy: Array


def flatten(arrays: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
    """One vector with the content of all arrays, and by name a view of each array's part in its shape."""
    vector = np.concatenate([array.ravel() for array in arrays.values()])
    ends = np.cumsum([array.size for array in arrays.values()])
    views = {
        name: vector[end - array.size : end].reshape(array.shape)
        for (name, array), end in zip(arrays.items(), ends, strict=True)
    }
    return vector, views


class SequenceClassifier(ABC):
    """Reads a sequence with a cell and tells its class from the activations after the last step.

    Parameters
    ----------
    cell
        The parameters of the cell by name.
    fixed
        The names of those that are not learned.
    readout
        Its `weight` (C,H) and `bias` (C).

    Attributes
    ----------
    vector, gradient
        (N): all learned parameters, and the gradient of the last batch.
    parameters
        Views of `vector` by name: `cell.weight`, …, `readout.weight`, `readout.bias`.
    dtype
        The name of the dtype of all that it computes.
    """

    def __init__(
        self, cell: Mapping[str, Array], readout: Mapping[str, Array], fixed: Collection[str] = ()
    ) -> None:
        arrays = {f"cell.{name}": array for name, array in cell.items() if name not in fixed}
        arrays |= {f"readout.{name}": array for name, array in readout.items()}
        self.vector, self.parameters = flatten(arrays)
        self.gradient, self._gradients = flatten({name: np.zeros_like(a) for name, a in arrays.items()})
        self.dtype = self.vector.dtype.name

    @abstractmethod
    def loss(self, x: Array, targets: Array) -> tuple[float, int]:
        """The mean cross-entropy of a batch x (B,T,I) with targets (B), and how many it answers right.

        Leaves the gradient of the loss in `gradient`.
        """

    @abstractmethod
    def respond(self, x: Array) -> Response:
        """The answer to a batch x (B,T,I)."""


class KernelClassifier(SequenceClassifier):
    """A classifier with a cell of the kernel; NumPy does the rest.

    The learned parameters of the cell become views of the network's vector.
    """

    def __init__(self, cell: Cell, readout: Mapping[str, Array], fixed: Collection[str] = ()) -> None:
        super().__init__(cell.params, readout, fixed)
        self.cell = cell
        self._learned = [name for name in cell.params if name not in fixed]
        for name in self._learned:
            cell.params[name] = self.parameters[f"cell.{name}"]

    def loss(self, x: Array, targets: Array) -> tuple[float, int]:
        y, _, tape = self.cell.forward(x, final_state=False)
        h = y[:, -1]
        logits = self._readout(h)
        loss, grad_logits = cross_entropy(logits, targets)

        grad_h, grad_weight, grad_bias = linear_backward(grad_logits, h, self.parameters["readout.weight"])
        grad_y = np.zeros_like(y)
        grad_y[:, -1] = grad_h
        of_cell = self.cell.backward_params(tape, grad_y)
        for name in self._learned:
            self._gradients[f"cell.{name}"][...] = of_cell[name]
        self._gradients["readout.weight"][...] = grad_weight
        self._gradients["readout.bias"][...] = grad_bias
        return loss, count_correct(logits, targets)

    def respond(self, x: Array) -> Response:
        y, _, energy = self.cell(x, energy=True, final_state=False)
        return Response(self._readout(y[:, -1]), energy.sum(axis=2))

    def _readout(self, h: Array) -> Array:
        return linear(h, self.parameters["readout.weight"], self.parameters["readout.bias"])


def count_correct(logits: Array, targets: Array) -> int:
    """For how many of the batch the target has the highest of the logits (B,C)."""
    return int(np.count_nonzero(logits.argmax(axis=1) == targets))
