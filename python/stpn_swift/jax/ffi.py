"""The library of XLA custom calls: whether it is there, and its two functions by name."""

import ctypes
import importlib.metadata
import sys
from pathlib import Path

import jax

from .. import _kernel

FORWARD, BACKWARD = "stpn_swift.forward", "stpn_swift.backward"

# In the order of the struct in ffi.cpp.
_FUNCTIONS = (
    "stpn_parameter_count",
    "stpn_state_count",
    "stpn_workspace_size",
    "stpn_forward",
    "stpn_backward",
)

_loaded: ctypes.CDLL | None = None


def path() -> Path:
    """Where `python -m stpn_swift.jax.build` puts the library: it belongs to the headers that it was compiled
    with, ours and jaxlib's."""
    versions = f"{_kernel.__version__}-{importlib.metadata.version('jaxlib')}"
    return Path(__file__).with_name(f"ffi-{versions}.{'dylib' if sys.platform == 'darwin' else 'so'}")


def load(library: Path) -> None:
    """Registers the functions of a library with XLA; once in a process."""
    global _loaded
    if _loaded is not None:
        return
    loaded = ctypes.CDLL(str(library))
    addresses = [_kernel.functions[name] for name in _FUNCTIONS]
    loaded.stpn_xla_connect((ctypes.c_void_p * len(addresses))(*addresses))
    for target, function in ((FORWARD, loaded.stpn_xla_forward), (BACKWARD, loaded.stpn_xla_backward)):
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(function), platform="cpu")
    _loaded = loaded


def available() -> bool:
    """Whether the custom calls are registered; registers them where the library has been built."""
    if _loaded is None and path().exists():
        load(path())
    return _loaded is not None
