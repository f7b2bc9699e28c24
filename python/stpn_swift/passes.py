"""A cell's passes as functions of arrays in one row, which frameworks want that differentiate functions.

Into a call go x (B,T,I), the parameters, the state and the resets, as far as they are given; out of it come y
(B,T,H), the final state, the energy (B,T,H) and the tape, as far as they are wanted. Parameters and states
are in the order of the kernel.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from . import _kernel
from .cell import Array, aligned

Shape = tuple[int, ...]
T = TypeVar("T")


class Passes:
    """Those of a cell; `state`, `resets` and `energy` say whether a call has them."""

    def __init__(
        self,
        kernel: _kernel.Cell,
        *,
        state: bool,
        resets: bool,
        energy: bool = False,
        threads: int,
        implementation: str | None,
    ) -> None:
        self.params = [name for name, *_ in kernel.parameters]
        self.states = [name for name, *_ in kernel.states]
        self._kernel = kernel
        self._state = state
        self._resets = resets
        self._energy = energy
        self._threads = threads
        self._implementation = implementation

    def output_shapes(self, batch: int, time: int) -> list[Shape]:
        """Without the tape's."""
        y = batch, time, self._kernel.config["hidden_size"]
        return [y, *((batch, *shape) for _, shape, *_ in self._kernel.states), *[y] * self._energy]

    def tape_size(self, batch: int, time: int) -> int:
        """In bytes; refuses unknown implementations."""
        return self._kernel.tape_size(batch, time, self._implementation)

    def forward(self, inputs: Iterable[Array], *, tape: bool) -> list[Array]:
        row = iter(inputs)
        x, params = next(row), _take(self.params, row)
        state = _take(self.states, row) if self._state else None
        resets = next(row) if self._resets else None
        sizes = self._kernel.sequence_sizes(x)
        outputs = [np.empty(shape, self._kernel.dtype) for shape in self.output_shapes(*sizes)]
        outputs += [aligned(self.tape_size(*sizes))] if tape else []
        row = iter(outputs)
        y, final = next(row), _take(self.states, row)
        energy, memory = next(row) if self._energy else None, next(row) if tape else None
        how = self._threads, self._implementation
        self._kernel.forward(y, final, energy, x, params, state, resets, memory, *how)
        return outputs

    def backward(
        self,
        tape: Array,
        batch: int,
        time: int,
        grads: Iterable[Array | None],
        wanted: Sequence[bool],
    ) -> list[Array]:
        """The gradients for those that are wanted of x, the parameters and the state, by those for y and the
        final state; None: 0."""
        kernel = self._kernel
        shapes: list[Shape] = [(batch, time, kernel.config["input_size"])]
        shapes += [shape for _, shape, *_ in kernel.parameters]
        shapes += kernel.state_shapes(batch).values()
        made = [
            np.empty(shape, kernel.dtype) if want else None
            for want, shape in zip(wanted, shapes, strict=False)
        ]
        row: Iterator[Any] = iter(made)
        grad_x, grad_params = next(row), _take(self.params, row)
        grad_state = _take(self.states, row) if self._state else None
        row = iter(grads)
        grad_y, grad_final = next(row), _take(self.states, row)
        how = batch, time, self._threads, self._implementation
        kernel.backward(grad_x, grad_params, grad_state, grad_y, grad_final, tape, *how)
        return [array for array in made if array is not None]


def _take(names: list[str], row: Iterator[T]) -> dict[str, T]:
    """The next of the row, by name."""
    return dict(zip(names, islice(row, len(names)), strict=True))
