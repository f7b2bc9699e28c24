"""The cells for HIPS autograd: plain NumPy code with a cell in it is differentiated.

import autograd.numpy as np
from autograd import grad
from stpn_swift.autograd import sequence

def loss(params, x):
    y, state = sequence(cell, params, x)
    return np.sum(y**2)

gradients = grad(loss)(cell.params, x)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from autograd.extend import defvjp_argnums, primitive
from autograd.tracer import isbox

from .cell import Array, Cell, State


def sequence(
    cell: Cell,
    params: Mapping[str, Array],
    x: Array,
    state: State | None = None,
    resets: Array | None = None,
) -> tuple[Array, State]:
    """Runs whole sequences by a cell with other parameters than its own.

    Parameters
    ----------
    cell
        Any cell of `stpn_swift`; its options count, and its `params` do not.
    params
        The parameters by name, of which autograd may ask gradients; so it may of x and of the state.
    x, state, resets
        As for `Cell.forward`.

    Returns
    -------
    y
        (B,T,H), the activations.
    state
        The state after the last step.

    Raises
    ------
    TypeError
        As `Cell.forward` does; and where gradients are differentiated again, which they cannot be.
    ValueError
        As `Cell.forward` does.
    """
    call = _Call(cell, resets)
    arrays = [x, *_in_order("params", params, call.params)]
    if state is not None:
        arrays += _in_order("state", state, call.states)
    y, *final = _forward(*arrays, call=call, with_tape=any(map(isbox, arrays)))
    return y, dict(zip(call.states, final, strict=True))


def _in_order(name: str, arrays: Mapping[str, Array], expected: list[str]) -> list[Array]:
    if {*arrays.keys()} != {*expected}:
        raise ValueError(f"{name}: expected the entries {(*expected,)}, got {(*arrays.keys(),)}")
    return [arrays[entry] for entry in expected]


class _Call:
    """A call of the kernel, with arrays in one row: x, the parameters, and the state where it is given."""

    def __init__(self, cell: Cell, resets: Array | None) -> None:
        self.kernel = cell._kernel
        self.how = cell.threads, cell.implementation
        self.resets = resets
        self.params = [name for name, *_ in self.kernel.parameters]
        self.states = [name for name, *_ in self.kernel.states]

    def _named(self, arrays: Sequence[Any]) -> tuple[Any, dict[str, Any], dict[str, Any] | None]:
        """x, the parameters, the state."""
        x, *others = arrays
        params = dict(zip(self.params, others, strict=False))
        state = others[len(self.params) :]
        return x, params, dict(zip(self.states, state, strict=True)) if state else None

    def forward(self, arrays: Sequence[Array], with_tape: bool) -> tuple[Array, ...]:
        """y and the final state."""
        x, params, state = self._named(arrays)
        B, T = self.sizes = self.kernel.sequence_sizes(x)
        y = np.empty((B, T, self.kernel.config["hidden_size"]), self.kernel.dtype)
        final = {name: np.empty(shape, y.dtype) for name, shape in self.kernel.state_shapes(B).items()}
        size = self.kernel.tape_size(B, T, self.how[1])
        self.tape = np.empty(size, np.uint8) if with_tape else None
        self.kernel.forward(y, final, None, x, params, state, self.resets, self.tape, *self.how)
        return y, *final.values()

    def backward(self, wanted: Sequence[Array | None], grads: Sequence[Array]) -> list[Array]:
        """The gradients for the arrays that are not None, by those for y and the final state."""
        assert self.tape is not None
        dtype = self.kernel.dtype
        made = [None if array is None else np.empty(np.shape(array), dtype) for array in wanted]
        grad_x, grad_params, grad_state = self._named(made)
        grad_y, *grad_final = (np.asarray(grad, dtype) for grad in grads)
        named = dict(zip(self.states, grad_final, strict=True))
        self.kernel.backward(
            grad_x, grad_params, grad_state, grad_y, named, self.tape, *self.sizes, *self.how
        )
        return [array for array in made if array is not None]


@primitive  # type: ignore[untyped-decorator]
def _forward(*arrays: Array, call: _Call, with_tape: bool) -> tuple[Array, ...]:
    return call.forward(arrays, with_tape)


def _vjp_of_forward(
    argnums: Sequence[int], _: Any, arrays: Sequence[Array], options: Mapping[str, Any]
) -> Callable[[Any], Any]:
    wanted = [array if index in argnums else None for index, array in enumerate(arrays)]

    def vjp(grads: Sequence[Array]) -> list[Array]:
        if any(map(isbox, (*arrays, *grads))):
            raise TypeError(
                "stpn_swift.autograd: gradients of a cell cannot be differentiated again. "
                'stpn_swift.jax with backend="scan" has all derivatives'
            )
        gradients: list[Array] = options["call"].backward(wanted, grads)
        return gradients

    return vjp


defvjp_argnums(_forward, _vjp_of_forward)
