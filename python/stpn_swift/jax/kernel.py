"""A cell's passes as functions of JAX, by a custom call of XLA or by a callback; no transformation but jit
knows them.

Arrays are in one row: x, the parameters, the state and the resets, as far as they are given; y, the final
state, the energy and the tape, as far as they are wanted.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import islice
from typing import Any, Literal, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from .. import _kernel
from . import ffi

Array = jax.Array
Shape = jax.ShapeDtypeStruct
T = TypeVar("T")


@dataclass(frozen=True)
class Spec:
    """A cell: its options and its dtype."""

    options: tuple[tuple[str, Any], ...]
    dtype: str

    @property
    def kernel(self) -> _kernel.Cell:
        return _kernel_of(self)


@lru_cache(maxsize=256)
def _kernel_of(spec: Spec) -> _kernel.Cell:
    return _kernel.Cell(dict(spec.options), spec.dtype)


@dataclass(frozen=True)
class Call:
    """A call for a sequence: what compiled code takes for constant."""

    spec: Spec
    way: Literal["ffi", "callback"]
    state: bool
    resets: bool
    energy: bool
    threads: int
    implementation: str | None

    @cached_property
    def params(self) -> list[str]:
        return [name for name, *_ in self.spec.kernel.parameters]

    @cached_property
    def states(self) -> list[str]:
        return [name for name, *_ in self.spec.kernel.states]

    @property
    def differentiable(self) -> int:
        """How many of the inputs, from x on, have gradients."""
        return 1 + len(self.params) + (len(self.states) if self.state else 0)

    def shapes(self, batch: int, time: int, tape: bool) -> list[Shape]:
        """Of the outputs."""
        spec, kernel = self.spec, self.spec.kernel
        y = Shape((batch, time, dict(spec.options)["hidden_size"]), spec.dtype)
        states = [Shape(shape, spec.dtype) for shape in kernel.state_shapes(batch).values()]
        bytes_of_tape = kernel.tape_size(batch, time, self.implementation)  # refuses unknown implementations
        return [y, *states, *[y] * self.energy, *[Shape((bytes_of_tape,), np.uint8)] * tape]

    def attributes(self, batch: int, time: int) -> dict[str, NDArray[np.int64]]:
        """Of a custom call."""
        names = [None, *(name for name, *_ in _kernel.implementations())]
        numbers = [batch, time, self.threads, names.index(self.implementation)]
        return {
            "description": np.frombuffer(self.spec.kernel.description, np.int64),
            "numbers": np.array(numbers, np.int64),
        }


def forward(call: Call, tape: bool, x: Array, *others: Array) -> list[Array]:
    """The outputs, with a tape or without."""
    B, T, _ = x.shape
    shapes = call.shapes(B, T, tape)
    if call.way == "ffi":
        present = np.array([call.state, call.resets, call.energy, tape], np.int64)
        compute = jax.ffi.ffi_call(ffi.FORWARD, shapes)
        return list(compute(x, *others, present=present, **call.attributes(B, T)))

    def run(*inputs: Any) -> list[NDArray[Any]]:
        row = iter([np.asarray(one) for one in inputs])
        x, params = next(row), _named(call.params, row)
        state = _named(call.states, row) if call.state else None
        resets = next(row) if call.resets else None
        outputs = [np.empty(shape.shape, shape.dtype) for shape in shapes]
        row = iter(outputs)
        y, final = next(row), _named(call.states, row)
        energy, memory = next(row) if call.energy else None, next(row) if tape else None
        how = call.threads, call.implementation
        call.spec.kernel.forward(y, final, energy, x, params, state, resets, memory, *how)
        return outputs

    return list(jax.pure_callback(run, shapes, x, *others))


def backward(
    call: Call,
    sizes: tuple[int, int],
    given: tuple[bool, ...],
    wanted: tuple[bool, ...],
    shapes: Sequence[Shape],
    tape: Array,
    *grads: Array,
) -> list[Array]:
    """The gradients that are wanted of x, the parameters and the state, of these shapes, by the gradients
    that are given of y and the final state."""
    if call.way == "ffi":
        state = (False,) * len(call.states) if not call.state else ()
        masks = {"given": np.array(given, np.int64), "wanted": np.array(wanted + state, np.int64)}
        compute = jax.ffi.ffi_call(ffi.BACKWARD, shapes)
        return list(compute(tape, *grads, **masks, **call.attributes(*sizes)))

    def run(tape: Any, *grads: Any) -> list[NDArray[Any]]:
        outputs = [np.empty(shape.shape, shape.dtype) for shape in shapes]
        row = _spread(map(np.asarray, grads), given)
        grad_y, grad_final = next(row), _named(call.states, row)
        row = _spread(outputs, wanted)
        grad_x, grad_params = next(row), _named(call.params, row)
        grad_state = _named(call.states, row) if call.state else None
        how = *sizes, call.threads, call.implementation
        call.spec.kernel.backward(grad_x, grad_params, grad_state, grad_y, grad_final, np.asarray(tape), *how)
        return outputs

    return list(jax.pure_callback(run, shapes, tape, *grads))


def _named(names: list[str], arrays: Iterator[T]) -> dict[str, T]:
    """By name, the next of the arrays."""
    return dict(zip(names, islice(arrays, len(names)), strict=True))


def _spread(arrays: Iterable[T], there: tuple[bool, ...]) -> Iterator[T | None]:
    """The arrays, and None where there is none."""
    row = iter(arrays)
    return (next(row) if one else None for one in there)
