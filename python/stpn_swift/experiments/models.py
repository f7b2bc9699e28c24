"""The nine networks that the paper compares, each as the configuration that the published code has of it.

So what the published runs did otherwise than the paper says (docs/cells.md, section 6) is where such
configurations are read, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from .. import _kernel, cell_from_config
from ..published import PublishedModel, Variant, from_published_config
from .errors import ExperimentError, optional_import
from .network import Array, KernelClassifier, SequenceClassifier
from .retrieval_data import SYMBOLS

ModelName = Literal[
    "stpnr",
    "lstm",
    "rnn",
    "fast-weights",
    "modulated",
    "stpnr-scalar",
    "stpnf",
    "stpnf-scalar",
    "hebbff",
]
MODEL_NAMES: tuple[ModelName, ...] = get_args(ModelName)
Backend = Literal["kernel", "torch"]


@dataclass(frozen=True)
class Model:
    """One of the nine."""

    title: str
    section: Mapping[str, Any]
    """The section `model` of its published configuration."""

    @property
    def hidden_size(self) -> int:
        """The H at which all have some 2,000 parameters."""
        size: int = self.section["hidden_size"]
        return size


def _stp(rates: list[int], **more: Any) -> dict[str, Any]:
    return {
        "learn_plastic_weight_params": True,
        "learn_plastic_weight_params_dims": rates,
        "plastic_weight_clamp_val": None,
        **more,
    }


def _model(title: str, unit: str, hidden_size: int, activation: str | None = None, **arguments: Any) -> Model:
    sizes = {"recurrent_unit": unit, "hidden_size": hidden_size}
    return Model(title, {**sizes, "activation": activation, "rnn_args": arguments})


_PRE = {"weight_norm": {"dim": 2}, "plastic_weight_norm": {"norm": "G", "time": "pre"}}
_SYNAPSE, _SCALAR = [0, 1], list[int]()
_TANH, _SIGMOID = "functional_tanh", "functional_sigmoid"
_FIXED_RATES = {
    "learn_plastic_weight_params": False,
    "learn_plastic_weight_params_kwargs": {
        "weight_lambda": {"fixed_parameter_value": 0.9},
        "weight_gamma": {"fixed_parameter_value": 0.5},
    },
    "plastic_weight_connections": "hidden",
}

MODELS: dict[ModelName, Model] = {
    "stpnr": _model("STPNR", "STPNr", 11, _TANH, stp=_stp(_SYNAPSE, plasticity_type_kwargs=_PRE)),
    "lstm": _model("LSTM", "LSTM", 9),
    "rnn": _model("RNN", "RNN", 20),
    "fast-weights": _model("Fast weights", "FastWeights", 20, stp=_FIXED_RATES, S=1, activation="tanh"),
    "modulated": _model("Modulated", "MODPLAST", 17, net_type="modplast", addpw=3, da="tanh"),
    "stpnr-scalar": _model(
        "STPNR, scalar", "STPNr", 20, _TANH, stp=_stp(_SCALAR, plasticity_type_kwargs=_PRE)
    ),
    "stpnf": _model("STPNF", "STPNf", 13, _TANH, stp=_stp(_SYNAPSE, plasticity_type_kwargs=_PRE)),
    "stpnf-scalar": _model(
        "STPNF, scalar", "STPNf", 26, _TANH, stp=_stp(_SCALAR, plasticity_type_kwargs=_PRE)
    ),
    "hebbff": _model("HebbFF", "HebbFF", 26, _SIGMOID, stp=_stp(_SCALAR)),
}


def describe(
    section: Mapping[str, Any], hidden_size: int | None, variant: Variant, symbols: int = len(SYMBOLS)
) -> PublishedModel:
    """The network of the section `model` of a published configuration, at this size, for so many symbols.

    Raises
    ------
    ValueError
        An entry says what this library does not do; the message names it.
    """
    sized = {"model": {**section, "hidden_size": hidden_size}}
    return from_published_config(sized, input_size=symbols, variant=variant)


def differences(model: PublishedModel, usual: PublishedModel) -> list[str]:
    """What a network has otherwise than another, a few words each."""
    own = {**model.config, **model.fixed, "squashed": model.squashed}
    others = {**usual.config, **usual.fixed, "squashed": usual.squashed}
    ranges = _initial_ranges(usual)
    return [
        *(f"{name} {value}" for name, value in own.items() if value != others.get(name)),
        *(f"no {name}" for name in others.keys() - own.keys()),
        *(
            f"initial {name} from {low:.3g} to {high:.3g}"
            for name, (low, high) in _initial_ranges(model).items()
            if not np.allclose((low, high), ranges.get(name, np.nan), rtol=1e-9, atol=0)
        ),
    ]


def _initial_ranges(model: PublishedModel) -> dict[str, tuple[float, float]]:
    """Of the uniform distributions of the parameters: the cell's own, or those that the configuration has."""
    if model.config["cell"] in ("lstm", "rnn"):
        return model.initial
    cell = _kernel.Cell(model.config, "float64")
    return {name: (low, high) for name, _, low, high in cell.parameters} | model.initial


def model_of(section: Mapping[str, Any]) -> ModelName:
    """The one of the nine that a section `model` is of, by its unit and whether its rates are scalars.

    Raises
    ------
    ValueError
        The section is none of a network that this library has.
    """
    described = from_published_config({"model": section})
    names: dict[str, ModelName] = {
        model.section["recurrent_unit"]: name for name, model in MODELS.items() if "-scalar" not in name
    }
    if described.config.get("plasticity_shape") == "scalar":
        names |= {"STPNr": "stpnr-scalar", "STPNf": "stpnf-scalar"}
    return names[described.unit]


def usual_backend(model: PublishedModel) -> Backend:
    """The kernel, where it computes the cell."""
    return "torch" if _needs_torch(model) else "kernel"


def check_backend(model: PublishedModel, backend: Backend) -> None:
    """Refuses the kernel for a network that it does not compute.

    Raises
    ------
    ExperimentError
        With the reason.
    """
    reason = _needs_torch(model)
    if backend == "kernel" and reason:
        raise ExperimentError(f"--backend kernel contradicts the model: {reason} (--backend torch)")


def _needs_torch(model: PublishedModel) -> str:
    if model.config["cell"] in ("lstm", "rnn"):
        return f"{model.unit} is PyTorch's own"
    if model.squashed:
        return f"{model.unit} as published sends F through the activation, which PyTorch computes here"
    return ""


def build(
    model: PublishedModel, backend: Backend, dtype: str, random: np.random.Generator
) -> SequenceClassifier:
    """The network of a model, with the same initial parameters for either backend.

    Parameters
    ----------
    model
        Of associative retrieval.
    backend
        "kernel": the cell by the kernel, the rest by NumPy; "torch": all by PyTorch and its autograd.
    dtype
        "float32" or "float64".
    random
        Draws the cell's parameters, as docs/cells.md has it or the model says, and then the readout's from
        U(-1/√H, 1/√H).

    Raises
    ------
    ExperimentError
        The backend does not compute the model, or PyTorch is not installed.
    """
    check_backend(model, backend)
    H, C = model.config["hidden_size"], model.config["input_size"]
    k = H**-0.5
    if model.config["cell"] in ("lstm", "rnn"):
        values = _draw_torch_cell(model.config, dtype, random)
    else:
        cell = cell_from_config(model.config, dtype=dtype, seed=random)
        values = cell.params
        for name, (low, high) in model.initial.items():
            values[name] = random.uniform(low, high, values[name].shape).astype(dtype)
        for name, value in model.fixed.items():
            values[name][...] = value
    readout = {"weight": random.uniform(-k, k, (C, H)).astype(dtype)}
    readout["bias"] = random.uniform(-k, k, C).astype(dtype)
    if backend == "kernel":
        return KernelClassifier(cell, readout, model.fixed)
    return _build_torch(model, dtype, values, readout)


def _draw_torch_cell(config: Mapping[str, Any], dtype: str, random: np.random.Generator) -> dict[str, Array]:
    """As `nn.LSTM` and `nn.RNN` draw them, but with one bias: the other stays 0."""
    inputs, H = config["input_size"], config["hidden_size"]
    rows = 4 * H if config["cell"] == "lstm" else H
    k = H**-0.5
    shapes = {"rnn.weight_ih_l0": (rows, inputs), "rnn.weight_hh_l0": (rows, H), "rnn.bias_ih_l0": (rows,)}
    values: dict[str, Array] = {
        name: random.uniform(-k, k, shape).astype(dtype) for name, shape in shapes.items()
    }
    return {**values, _SECOND_BIAS: np.zeros(rows, dtype)}


_SECOND_BIAS = "rnn.bias_hh_l0"


def _build_torch(
    model: PublishedModel, dtype: str, values: Mapping[str, Array], readout: Mapping[str, Array]
) -> SequenceClassifier:
    torch = optional_import("torch")
    cells = optional_import("stpn_swift.torch")
    published = optional_import("stpn_swift.torch.published")
    network = optional_import("stpn_swift.experiments.torch_network")
    config = model.config
    kinds = {"lstm": torch.nn.LSTM, "rnn": torch.nn.RNN}
    if config["cell"] in kinds:
        cell = published.TorchCell(kinds[config["cell"]], config["input_size"], config["hidden_size"])
        fixed = {_SECOND_BIAS}
    else:
        config = {**config, "squashed": model.squashed}
        cell = cells.cell_from_config(config, backend="torch", dtype=getattr(torch, dtype))
        fixed = {*model.fixed}
    classifier: SequenceClassifier = network.TorchClassifier(
        cell.to(getattr(torch, dtype)), values, readout, fixed
    )
    return classifier
