"""Short-term plasticity neurons for NumPy, PyTorch and JAX, computed forward and backward by a Swift kernel.

    import numpy as np
    import stpn_swift

    cell = stpn_swift.STPNR(37, 11, seed=0)
    y, state, tape = cell.forward(np.zeros((128, 9, 37), np.float32))
    grads = cell.backward(tape, np.ones_like(y))

`stpn_swift.torch` holds the same cells as modules of PyTorch, `stpn_swift.jax` as pytrees of JAX, and
`stpn_swift.autograd` a primitive for HIPS autograd.
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._kernel import __version__, get_num_threads, set_num_threads
from .cell import Cell, Grads, State, Tape
from .cells import STPN, STPNF, STPNR, FastWeights, HebbFF, Modulated, cell_from_config
from .runtime import show_config

if TYPE_CHECKING:
    from .published import PublishedModel, from_published_config
    from .saving import load, save

_LAZY = {
    "PublishedModel": "published",
    "from_published_config": "published",
    "load": "saving",
    "save": "saving",
}
"""What few programs use, by its module, which is loaded by the first use."""


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)


__all__ = [
    "STPN",
    "STPNF",
    "STPNR",
    "Cell",
    "FastWeights",
    "Grads",
    "HebbFF",
    "Modulated",
    "PublishedModel",
    "State",
    "Tape",
    "__version__",
    "cell_from_config",
    "from_published_config",
    "get_num_threads",
    "load",
    "save",
    "set_num_threads",
    "show_config",
]
