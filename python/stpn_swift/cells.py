"""The cells by name. Their equations are in docs/cells.md."""

import math
from typing import Literal

import numpy as np
from numpy.typing import DTypeLike

from .cell import Cell

Normalize = Literal["output", "pre", "post"] | None


class STPNR(Cell):
    """Recurrent short-term plasticity neurons: every synapse has a weight and a short-term part F that decays
    and learns while the network runs (docs/cells.md, section 1).

        cell = STPNR(37, 11, seed=0)
        y, state, tape = cell.forward(x)
        grads = cell.backward(tape, grad_y)

    Rodriguez, Guo, Moraitis, "Short-Term Plasticity Neurons Learning to Learn and Forget", ICML 2022.

    Parameters
    ----------
    input_size
        I, 1 or more.
    hidden_size
        H, 1 or more.
    normalize
        What the norm of a neuron's synapses W + F divides: its input ("output"), also F before its update
        ("pre") or after it ("post"), or nothing (None).
    clamp
        c, 0 or more: F is clipped to [-c, c]; None: no clip.
    bias
        Whether the neurons have a bias.
    dtype
        "float32" or "float64".
    seed
        Of the initial parameters: an int, a `numpy.random.Generator`, or None for a different one in every
        call.

    The parameters are `weight`, `weight_lambda`, `weight_gamma` (H,I+H) and `bias` (H); the states are `h`
    (B,H), the activations, and `F` (B,H,I+H).

    Raises
    ------
    ValueError
        An option is out of its range or unknown, or a size is too large.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        normalize: Normalize = "pre",
        clamp: float | None = None,
        bias: bool = True,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
    ) -> None:
        config = {
            "cell": "stpn",
            "input_size": input_size,
            "hidden_size": hidden_size,
            "normalize": normalize,
            "clamp": None if np.isscalar(clamp) and clamp == math.inf else clamp,
            "bias": bias,
        }
        super().__init__(config, dtype, seed)
