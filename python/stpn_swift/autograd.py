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
from dataclasses import dataclass
from typing import Any

import numpy as np
from autograd.extend import defjvp_argnums, defvjp_argnums, primitive
from autograd.tracer import isbox

from .cell import Array, Cell, State
from .entries import check_dict, check_entries
from .passes import Passes


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
        As `Cell.forward` does; and where gradients are differentiated again, or forward, which they cannot
        be.
    ValueError
        As `Cell.forward` does.
    """
    given = {"state": state is not None, "resets": resets is not None}
    passes = Passes(cell._kernel, **given, threads=cell.threads, implementation=cell.implementation)
    arrays = [x, *_in_order("params", params, passes.params)]
    if state is not None:
        arrays += _in_order("state", state, passes.states)
    call = _Call(passes, resets, any(map(isbox, arrays)))
    y, *final = _forward(*arrays, call=call)
    return y, dict(zip(passes.states, final, strict=True))


def _in_order(name: str, arrays: Mapping[str, Array], expected: list[str]) -> list[Array]:
    check_dict(name, arrays)
    check_entries(name, arrays, expected)
    return [arrays[entry] for entry in expected]


@dataclass
class _Call:
    """What autograd does not see of a call."""

    passes: Passes
    resets: Array | None
    tape: bool
    memory: Array | None = None


@primitive  # type: ignore[untyped-decorator]
def _forward(*arrays: Array, call: _Call) -> tuple[Array, ...]:
    resets = [] if call.resets is None else [call.resets]
    outputs = call.passes.forward([*arrays, *resets], tape=call.tape)
    if call.tape:
        call.memory = outputs.pop()
    return tuple(outputs)


def _vjp_of_forward(
    argnums: Sequence[int], outputs: Sequence[Array], arrays: Sequence[Array], options: Mapping[str, Any]
) -> Callable[[Any], Any]:
    call, y = options["call"], outputs[0]
    wanted = [index in argnums for index in range(len(arrays))]

    def vjp(grads: Sequence[Array]) -> list[Array]:
        if any(map(isbox, (*arrays, *grads))):
            raise TypeError(
                "stpn_swift.autograd: gradients of a cell cannot be differentiated again. "
                'stpn_swift.jax with backend="scan" has all derivatives'
            )
        cast = (np.asarray(grad, y.dtype) for grad in grads)
        gradients: list[Array] = call.passes.backward(call.memory, *y.shape[:2], cast, wanted)
        return gradients

    return vjp


def _no_jvp(*_: Any) -> None:
    raise TypeError(
        "stpn_swift.autograd: a cell has no forward-mode derivatives (make_jvp). Use reverse mode (grad, "
        'make_vjp, jacobian), or stpn_swift.jax with backend="scan", which has all derivatives'
    )


defvjp_argnums(_forward, _vjp_of_forward)
defjvp_argnums(_forward, _no_jvp)
