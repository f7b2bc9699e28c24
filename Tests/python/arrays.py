"""Drawing, laying out and comparing arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stpn_swift import Cell

Array = NDArray[Any]


def draw(random: np.random.Generator, cell: Cell, batch: int, time: int) -> dict[str, Any]:
    """Everything that goes into forward and backward."""
    sizes = {name: array.shape for name, array in cell.initial_state(batch).items()}
    return {
        "x": random.normal(size=(batch, time, cell.input_size)).astype(cell.dtype),
        "state": {
            name: random.normal(scale=0.3, size=size).astype(cell.dtype) for name, size in sizes.items()
        },
        "resets": random.random((batch, time)) < 0.3,
        "grad_y": random.normal(size=(batch, time, cell.hidden_size)).astype(cell.dtype),
        "grad_state": {name: random.normal(size=size).astype(cell.dtype) for name, size in sizes.items()},
    }


def results(
    cell: Cell, x: Array, state: Any = None, resets: Any = None, grad_y: Any = None, grad_state: Any = None
) -> dict[str, Array]:
    """All that the calls of a cell return: of a sequence, of the way back, and of its first step."""
    y, final, tape, energy = cell.forward(x, state, resets, energy=True)
    grads = cell.backward(tape, grad_y, grad_state)
    arrays = {"y": y, "energy": energy, "grad x": grads.x}
    stepped = {name: array.copy() for name, array in (state or cell.initial_state(len(x))).items()}
    if x.shape[1] > 0:
        arrays["step energy"] = np.empty_like(y[:, 0])
        arrays["step y"] = cell.step(x[:, 0], stepped, energy=arrays["step energy"])
    named = {"final": final, "step": stepped, "grad state": grads.state, "grad param": grads.params}
    return arrays | {f"{kind} {name}": a for kind, group in named.items() for name, a in group.items()}


def assert_same(actual: Any, expected: Any) -> None:
    """The same bits, of arrays or of dicts and tuples of them."""
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys()
        actual, expected = list(actual.values()), list(expected.values())
    if isinstance(expected, (list, tuple)):
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    else:
        assert actual.dtype == expected.dtype and actual.shape == expected.shape
        assert actual.tobytes() == expected.tobytes()


def unaligned(array: Array) -> Array:
    """The same numbers one byte off their alignment."""
    memory = np.empty(array.nbytes + 1, np.uint8)
    copied: Array = memory[1:].view(array.dtype).reshape(array.shape)
    copied[...] = array
    assert array.dtype.itemsize == 1 or not copied.flags.aligned
    return copied


def read_only(array: Array) -> Array:
    array = array.copy()
    array.flags.writeable = False
    return array
