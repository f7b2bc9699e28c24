"""The cells for JAX, on the CPU, computed by the same kernel as the NumPy ones.

    import jax, stpn_swift.jax

    cell = stpn_swift.jax.STPNR(37, 11, key=jax.random.key(0))
    gradient = jax.grad(lambda cell: cell(jax.numpy.zeros((128, 9, 37)))[0].sum())(cell)

`python -m stpn_swift.jax.build` compiles the fastest way to the kernel for the jaxlib that is installed.
"""

from contextlib import suppress

from . import ffi
from .cells import STPN, STPNF, STPNR, Cell, FastWeights, HebbFF, Modulated, cell_from_config

__all__ = [
    "STPN",
    "STPNF",
    "STPNR",
    "Cell",
    "FastWeights",
    "HebbFF",
    "Modulated",
    "cell_from_config",
]

# For programs of `jax.export`, which are called without a cell. A library that does not load is told of by
# the first cell that is to use it, and can be built again.
with suppress(OSError):
    ffi.available()
