"""The cells by name, and from a config. Their equations are in docs/cells.md."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import DTypeLike

from .cell import Cell, Seed

Normalize = Literal["output", "pre", "post"] | None
Activation = Literal["tanh", "sigmoid", "relu", "identity"]


class STPNOptions(TypedDict, total=False):
    """The options that `STPNR` and `STPNF` share; `STPN` describes them."""

    plastic: Literal["all", "input", "hidden"]
    plasticity_shape: Literal["synapse", "neuron", "presynaptic", "scalar"]
    normalize: Normalize
    norm_axis: Literal["neuron", "layer"]
    norm_gain: bool
    decay: Literal["stp", "prompt"]
    rule: Literal["hebb", "oja"]
    presynaptic: Literal["previous", "current"]
    clamp: float | None
    bias: bool
    plastic_bias: bool
    layer_norm: bool
    activation: Activation


STPN_DEFAULTS: STPNOptions = {
    "plastic": "all",
    "plasticity_shape": "synapse",
    "normalize": "pre",
    "norm_axis": "neuron",
    "norm_gain": False,
    "decay": "stp",
    "rule": "hebb",
    "presynaptic": "previous",
    "clamp": None,
    "bias": True,
    "plastic_bias": False,
    "layer_norm": False,
    "activation": "tanh",
}


class STPN(Cell):
    """Short-term plasticity neurons: every synapse has a weight and a short-term part F that decays and
    learns while the network runs (docs/cells.md, section 1).

        cell = STPN(37, 11, recurrent=False, normalize="output", seed=0)
        y, state, tape = cell.forward(x)
        grads = cell.backward(tape, grad_y)

    Rodriguez, Guo, Moraitis, "Short-Term Plasticity Neurons Learning to Learn and Forget", ICML 2022.

    Parameters
    ----------
    input_size
        I, 1 or more.
    hidden_size
        H, 1 or more.
    recurrent = True
        Whether the neurons see, beside x_t, their own h_{t-1}: K = I + H synapses each, otherwise K = I.
    plastic = "all"
        Which synapses have a short-term part: "all", those of the "input", or the "hidden" ones, of h_{t-1};
        P is the number of these a neuron.
    plasticity_shape = "synapse"
        One decay Λ and one learning rate Γ per "synapse" (H,P), "neuron" (H), "presynaptic" input (P), or a
        "scalar" ().
    normalize = "pre"
        What the norm n of a neuron's synapses W + F divides: its input ("output"), also F before its update
        ("pre") or after it ("post"), or nothing (None).
    norm_axis = "neuron"
        Whose norm: that of each "neuron", or one of the whole "layer" of a sample.
    norm_gain = False
        Whether a learned gain per neuron scales the norm.
    decay = "stp"
        Whether Λ applies to F alone ("stp") or also to what the step adds ("prompt").
    rule = "hebb"
        What a step adds to F: the "hebb" product of h and the presynaptic activation, or Oja's rule ("oja").
    presynaptic = "previous"
        Which hidden activations an update multiplies: the "previous" or the "current".
    clamp = None
        c, 0 or more: F is clipped to [-c, c]; None: no clip.
    bias = True
        Whether the neurons have a bias.
    plastic_bias = False
        Whether they have one that is short-term plastic.
    layer_norm = False
        Whether a layer norm precedes the activation.
    activation = "tanh"
        "tanh", "sigmoid", "relu" or "identity".
    dtype = "float32"
        "float32" or "float64".
    seed = None
        Of the initial parameters: an int, a `numpy.random.Generator`, or None for a different one in every
        call.

    The parameters are `weight` (H,K), `weight_lambda` and `weight_gamma`, and as the options have it `bias`,
    `norm_gain`, `bias_lambda`, `bias_gamma`, `layer_norm.weight`, `layer_norm.bias` (H). The states are `h`
    (B,H), the activations, where the cell is recurrent, `F` (B,H,P), and `fb` (B,H), the plastic bias.

    Raises
    ------
    TypeError
        An option is unknown.
    ValueError
        An option is out of its range or contradicts another, or a size is too large. A feed-forward cell has
        no plastic="hidden" and no presynaptic="current"; norm_gain and norm_axis="layer" need a normalize.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "stpn"}
    OPTIONS: ClassVar[Mapping[str, object]] = {"recurrent": True, **STPN_DEFAULTS}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: bool = True,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[STPNOptions],
    ) -> None:
        clamp = options.get("clamp")
        if np.isscalar(clamp) and clamp == math.inf:
            options["clamp"] = None
        super().__init__(input_size, hidden_size, dtype=dtype, seed=seed, recurrent=recurrent, **options)


class STPNR(STPN):
    """Recurrent short-term plasticity neurons, `STPN` with recurrent=True: the network of the paper.

        cell = STPNR(37, 11, seed=0)
        y, state, tape = cell.forward(x)
        grads = cell.backward(tape, grad_y)

    `STPN` describes sizes, options, parameters, states and errors.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "stpn", "recurrent": True}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[STPNOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent=True, dtype=dtype, seed=seed, **options)


class STPNF(STPN):
    """Feed-forward short-term plasticity neurons, `STPN` with recurrent=False: v = x_t, and no state `h`.

    `STPN` describes sizes, options, parameters, states and errors. The published experiments have
    normalize="output" and bias=False (docs/cells.md, section 6); the defaults here are those of STPNR.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "stpn", "recurrent": False}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[STPNOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent=False, dtype=dtype, seed=seed, **options)


class HebbFFOptions(TypedDict, total=False):
    """The options of `HebbFF`, which describes them."""

    forced: bool


class HebbFF(Cell):
    """HebbFF: a feed-forward layer of sigmoid neurons whose synapses learn by an anti-Hebbian rule, with one
    decay Λ and one learning rate Γ for all (docs/cells.md, section 3).

    Tyulmankov, Yang, Abbott, "Meta-learning synaptic plasticity and memory addressing for continual
    familiarity detection", Neuron 2022.

    Parameters
    ----------
    input_size
        I, 1 or more.
    hidden_size
        H, 1 or more.
    forced = True
        True: Λ = 1 / (1 + exp(-raw_lambda)), Γ = -exp(raw_gamma), so that the rule stays
        anti-Hebbian whatever is learned; False: they are `raw_lambda` and `raw_gamma` themselves.
    dtype = "float32"
        "float32" or "float64".
    seed = None
        Of the initial parameters, as for `STPN`.

    The parameters are `weight` (H,I), `bias` (H), `raw_lambda` and `raw_gamma` (); the state is `F` (B,H,I).

    Raises
    ------
    TypeError
        An option is unknown.
    ValueError
        An option is out of its range, or a size is too large.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "hebbff", "recurrent": False}
    OPTIONS: ClassVar[HebbFFOptions] = {"forced": True}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[HebbFFOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype=dtype, seed=seed, **options)


class FastWeightsOptions(TypedDict, total=False):
    """The options of `FastWeights`, which describes them."""

    inner_steps: int
    layer_norm: bool
    activation: Activation


class FastWeights(Cell):
    """Fast weights: a recurrent network with a second, fast matrix A that decays and learns the outer
    products of its activations, and that is applied S times a step (docs/cells.md, section 4).

    Ba, Hinton, Mnih, Leibo, Ionescu, "Using Fast Weights to Attend to the Recent Past", NIPS 2016.

    Parameters
    ----------
    input_size
        I, 1 or more.
    hidden_size
        H, 1 or more.
    inner_steps = 1
        S, 1 to 1024.
    layer_norm = True
        Whether a layer norm precedes the activation, the same at every inner step.
    activation = "tanh"
        "tanh", "sigmoid", "relu" or "identity".
    dtype = "float32"
        "float32" or "float64".
    seed = None
        Of the initial parameters, as for `STPN`.

    The parameters are `weight` (H,I+H), `bias` (H), the decay `weight_lambda` and the learning rate
    `weight_gamma` (), and with a layer norm `layer_norm.weight`, `layer_norm.bias` (H). The states are `h`
    (B,H) and `F` (B,H,H), which is A.

    Raises
    ------
    TypeError
        An option is unknown.
    ValueError
        An option is out of its range, or a size is too large.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "fast_weights"}
    OPTIONS: ClassVar[FastWeightsOptions] = {"inner_steps": 1, "layer_norm": True, "activation": "tanh"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[FastWeightsOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype=dtype, seed=seed, **options)


class ModulatedOptions(TypedDict, total=False):
    """The options of `Modulated`, which describes them."""

    kind: Literal["modplast", "modul", "plastic"]
    addpw: Literal[0, 1, 2, 3]
    da: Literal["tanh", "sig", "lin"]


class Modulated(Cell):
    """Differentiable plasticity with and without a neuromodulator: a recurrent network whose synapses have a
    Hebbian part, alpha times F, that a signal of the network itself may gate (docs/cells.md, section 5).

    Miconi, Clune, Stanley, "Differentiable plasticity", ICML 2018; Miconi, Rawal, Clune, Stanley,
    "Backpropamine", ICLR 2019.

    Parameters
    ----------
    input_size
        I, 1 or more.
    hidden_size
        H, 1 or more.
    kind = "modplast"
        What a step adds to F, and what scales it: the outer product of h_t and h_{t-1} by the modulator
        ("modplast") or by a learned constant ("plastic"), or an eligibility trace by the modulator ("modul").
    addpw = 3
        How that joins F, 0 to 3: replacing a part of it (0), added (1), added with saturation (2), added and
        clipped (3).
    da = "tanh"
        The function that makes the modulator: "tanh", "sig" or "lin".
    dtype = "float32"
        "float32" or "float64".
    seed = None
        Of the initial parameters, as for `STPN`.

    The parameters are `i2h.weight` (H,I), `i2h.bias` (H), `w` and `alpha` (H,H), with a modulator
    `h2DA.weight` (1,H) and `h2DA.bias` (1), and `eta` (1) for "plastic" or `etaet` (1) for "modul". The
    states are `h` (B,H), `F` (B,H,H), and for "modul" the trace `E` (B,H,H).

    Raises
    ------
    TypeError
        An option is unknown.
    ValueError
        An option is out of its range, or a size is too large.
    """

    FIXED: ClassVar[Mapping[str, object]] = {"cell": "modulated"}
    OPTIONS: ClassVar[ModulatedOptions] = {"kind": "modplast", "addpw": 3, "da": "tanh"}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: DTypeLike = "float32",
        seed: Seed = None,
        **options: Unpack[ModulatedOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype=dtype, seed=seed, **options)


CELLS: tuple[type[Cell], ...] = (STPNR, STPNF, HebbFF, FastWeights, Modulated)
"""A class for every config; the first that fits is its class."""


def read_config(config: Mapping[str, Any]) -> tuple[type[Cell], dict[str, Any]]:
    """The class of a cell's config, and the keyword arguments that make it.

    Raises as `cell_from_config` does.
    """
    if not isinstance(config, Mapping):
        raise TypeError(f"config: expected a dict, got {type(config).__name__}")
    for name in ("cell", "input_size", "hidden_size"):
        if name not in config:
            raise ValueError(f"config: expected an entry {name!r}, got {[*config]}")
    for name in ("dtype", "seed"):
        if name in config:
            raise TypeError(
                f"config: expected options of the cell, got {name!r}, which is an argument beside it"
            )
    kinds = [cls for cls in CELLS if cls.FIXED["cell"] == config["cell"]]
    if not kinds:
        names = ", ".join(dict.fromkeys(f'"{cls.FIXED["cell"]}"' for cls in CELLS))
        raise ValueError(f"cell: expected one of {names}, got {config['cell']!r}")
    for cls in kinds:
        if all(config.get(name, value) == value for name, value in cls.FIXED.items()):
            return cls, {name: value for name, value in config.items() if name not in cls.FIXED}
    expected = " or ".join(str(cls.FIXED["recurrent"]) for cls in kinds)
    raise ValueError(f"recurrent: expected {expected}, got {config['recurrent']!r}")


def cell_from_config(config: Mapping[str, Any], *, dtype: DTypeLike = "float32", seed: Seed = None) -> Cell:
    """The cell that a config describes: `Cell.config`, or a dict of the names of docs/cells.md from JSON.

        cell = cell_from_config({"cell": "stpn", "input_size": 37, "hidden_size": 11, "clamp": 0.1})

    Parameters
    ----------
    config
        "cell" ("stpn", "hebbff", "fast_weights", "modulated"), "input_size", "hidden_size" and options; those
        that are missing have their defaults.
    dtype, seed
        As for `STPN`.

    Returns
    -------
    cell
        An STPNR, STPNF, HebbFF, FastWeights or Modulated.

    Raises
    ------
    TypeError
        The config is no dict, or an option is not one of this cell.
    ValueError
        "cell" or a size is missing, or the cell is unknown; or as the class of the cell raises it.
    """
    cls, arguments = read_config(config)
    return cls(**arguments, dtype=dtype, seed=seed)
