"""A few cells that have every option between them, for tests that any cell has to pass."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from stpn_swift import Cell, cell_from_config

Array = NDArray[Any]
Config = dict[str, Any]

CONFIGS: dict[str, Config] = {
    "stpnr": {"cell": "stpn"},
    "stpnr none clip": {"cell": "stpn", "normalize": None, "clamp": 0.1, "bias": False},
    "stpnr output": {"cell": "stpn", "normalize": "output", "rule": "oja", "decay": "prompt"},
    "stpnr post": {"cell": "stpn", "normalize": "post", "clamp": 0.2},
    "stpnr scalar": {"cell": "stpn", "plasticity_shape": "scalar", "presynaptic": "current"},
    "stpnr neuron": {"cell": "stpn", "plasticity_shape": "neuron", "plastic": "hidden", "normalize": "post"},
    "stpnr input": {"cell": "stpn", "plasticity_shape": "presynaptic", "plastic": "input", "rule": "oja"},
    "stpnr layer": {"cell": "stpn", "norm_axis": "layer", "norm_gain": True, "activation": "sigmoid"},
    "stpnr layer norm": {"cell": "stpn", "layer_norm": True, "plastic_bias": True, "activation": "relu"},
    "stpnr all at once": {
        "cell": "stpn",
        "plastic": "hidden",
        "normalize": "post",
        "norm_axis": "layer",
        "norm_gain": True,
        "decay": "prompt",
        "rule": "oja",
        "presynaptic": "current",
        "clamp": 0.3,
        "plastic_bias": True,
        "layer_norm": True,
    },
    "stpnf": {"cell": "stpn", "recurrent": False},
    "stpnf published": {"cell": "stpn", "recurrent": False, "normalize": "output", "bias": False},
    "stpnf scalar": {"cell": "stpn", "recurrent": False, "plasticity_shape": "scalar", "normalize": "output"},
    "stpnf identity": {
        "cell": "stpn",
        "recurrent": False,
        "normalize": None,
        "clamp": 0.5,
        "activation": "identity",
    },
    "hebbff": {"cell": "hebbff"},
    "hebbff raw": {"cell": "hebbff", "forced": False},
    "fast weights": {"cell": "fast_weights"},
    "fast weights plain": {
        "cell": "fast_weights",
        "inner_steps": 3,
        "layer_norm": False,
        "activation": "sigmoid",
    },
    "modplast": {"cell": "modulated"},
    "modplast adding": {"cell": "modulated", "addpw": 1, "da": "lin"},
    "modul": {"cell": "modulated", "kind": "modul", "addpw": 2, "da": "sig"},
    "plastic": {"cell": "modulated", "kind": "plastic", "addpw": 0},
}


def make(
    variant: str,
    input_size: int,
    hidden_size: int,
    *,
    dtype: str = "float64",
    implementation: str | None = None,
) -> Cell:
    """A cell of a variant with `lively_parameters`."""
    sizes = {"input_size": input_size, "hidden_size": hidden_size}
    cell = cell_from_config(CONFIGS[variant] | sizes, dtype=dtype, seed=0)
    cell.implementation = implementation
    cell.params.update(lively_parameters(cell, np.random.default_rng(1)))
    return cell


def lively_parameters(cell: Cell, random: np.random.Generator, rate: float = 0.5) -> dict[str, Array]:
    """Parameters with learning rates up to `rate`, so that F matters, and no weight near 0, so that hardly a
    norm is."""

    def weights(shape: tuple[int, ...]) -> Array:
        signs = random.choice([-1.0, 1.0], shape)
        return np.asarray(signs * random.uniform(0.3, 1, shape) / np.sqrt(shape[-1]))

    def draw(name: str, shape: tuple[int, ...]) -> Array:
        if name in ("weight", "i2h.weight", "h2DA.weight", "w", "alpha"):
            return weights(shape)
        if name == "raw_gamma" and cell.config["forced"]:
            return np.asarray(np.log(rate) - random.uniform(0, 2, shape))
        return np.asarray(random.uniform(*RANGES.get(name, (-rate, rate)), shape))

    return {name: draw(name, array.shape).astype(cell.dtype) for name, array in cell.params.items()}


RANGES = {
    **dict.fromkeys(("weight_lambda", "bias_lambda", "raw_lambda"), (0.1, 0.95)),
    **dict.fromkeys(("norm_gain", "layer_norm.weight"), (0.5, 1.5)),
    **dict.fromkeys(("bias", "i2h.bias", "h2DA.bias", "layer_norm.bias"), (-0.5, 0.5)),
    **dict.fromkeys(("eta", "etaet"), (0.2, 0.8)),
}
"""Of `lively_parameters`; the others are learning rates."""
