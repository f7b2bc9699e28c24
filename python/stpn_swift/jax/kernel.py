"""A cell's passes as functions of JAX, by a custom call of XLA or by a callback; no transformation but jit
knows them. Arrays are in rows, as those of passes.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import jax
import numpy as np
from jax.export import is_symbolic_dim
from numpy.typing import NDArray

from .. import _kernel
from ..passes import Passes
from . import ffi

Array = jax.Array
Shape = jax.ShapeDtypeStruct

NO_SYMBOLS = (
    "x: expected a batch and a time that are numbers, got {}. For symbols the kernel has no gradients and no "
    'callback, only sequences by backend="ffi"; backend="scan" has all.'
)


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
    def passes(self) -> Passes:
        return Passes(
            self.spec.kernel,
            state=self.state,
            resets=self.resets,
            energy=self.energy,
            threads=self.threads,
            implementation=self.implementation,
        )

    @property
    def params(self) -> list[str]:
        return self.passes.params

    @property
    def states(self) -> list[str]:
        return self.passes.states

    @property
    def differentiable(self) -> int:
        """How many of the inputs, from x on, have gradients."""
        return 1 + len(self.params) + (len(self.states) if self.state else 0)

    def shapes(self, batch: int, time: int, tape: bool) -> list[Shape]:
        """Of the outputs. Sizes that are symbols, of `jax.export`, stay symbols; raises ValueError where only
        numbers will do."""
        self.passes.tape_size(1, 1)  # refuses unknown implementations
        outputs = [Shape(shape, self.spec.dtype) for shape in self.passes.output_shapes(batch, time)]
        if (tape or self.way == "callback") and any(map(is_symbolic_dim, (batch, time))):
            raise ValueError(NO_SYMBOLS.format((batch, time)))
        return [*outputs, Shape((self.passes.tape_size(batch, time),), np.uint8)] if tape else outputs

    def attributes(self) -> dict[str, NDArray[np.int64]]:
        """Of a custom call."""
        names = [None, *(name for name, *_ in _kernel.implementations())]
        return {
            "description": np.frombuffer(self.spec.kernel.description, np.int64),
            "how": np.array([self.threads, names.index(self.implementation)], np.int64),
        }


def forward(call: Call, tape: bool, x: Array, *others: Array) -> list[Array]:
    """The outputs, with a tape or without."""
    B, T, _ = x.shape
    shapes = call.shapes(B, T, tape)
    if call.way == "ffi":
        present = np.array([call.state, call.resets, call.energy, tape], np.int64)
        compute = jax.ffi.ffi_call(ffi.FORWARD, shapes)
        return list(compute(x, *others, present=present, **call.attributes()))

    def run(*inputs: Any) -> list[NDArray[Any]]:
        return call.passes.forward(map(np.asarray, inputs), tape=tape)

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
        masks = {"sizes": sizes, "given": given, "wanted": wanted + state}
        numbers = {name: np.array(mask, np.int64) for name, mask in masks.items()}
        compute = jax.ffi.ffi_call(ffi.BACKWARD, shapes)
        return list(compute(tape, *grads, **numbers, **call.attributes()))

    def run(tape: Any, *grads: Any) -> list[NDArray[Any]]:
        row = map(np.asarray, grads)
        spread = [next(row) if one else None for one in given]
        return call.passes.backward(np.asarray(tape), *sizes, spread, wanted)

    return list(jax.pure_callback(run, shapes, tape, *grads))
