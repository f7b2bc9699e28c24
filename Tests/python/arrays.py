"""Drawing, laying out and comparing arrays."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stpn_swift import STPNR

Array = NDArray[Any]


def draw(random: np.random.Generator, cell: STPNR, batch: int, time: int) -> dict[str, Any]:
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
