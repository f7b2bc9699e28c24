"""The cells for JAX, on the CPU, computed by the same kernel as the NumPy ones.

    import jax, stpn_swift.jax

    cell = stpn_swift.jax.STPNR(37, 11, key=jax.random.key(0))
    gradient = jax.grad(lambda cell: cell(jax.numpy.zeros((128, 9, 37)))[0].sum())(cell)

`python -m stpn_swift.jax.build` compiles the fastest way to the kernel for the jaxlib that is installed.
"""

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
