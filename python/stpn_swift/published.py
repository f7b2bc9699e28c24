"""Configurations of the code published with the paper, as configs of this library (docs/published.md)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

Variant = Literal["published", "paper"]
Options = dict[str, Any]


@dataclass(frozen=True)
class PublishedModel:
    """What a published configuration describes; `from_published_config` makes it.

    Attributes
    ----------
    variant
        "published" or "paper", as it was asked for.
    unit
        The name of the network in the configuration, such as "STPNr" or, of a maze, "stpn".
    config
        Of the cell, for `cell_from_config`. "cell" may also be "lstm" or "rnn", which are PyTorch's; it has
        sizes alone then.
    squashed
        Whether F goes through the activation in each update, which the kernel does not compute:
        `stpn_swift.torch.load_published` makes a cell of PyTorch's operations where it does.
    fixed
        Parameters that are not learned, and their values.
    initial
        (low, high) of the uniform distributions that the configuration draws initial values from, by
        parameter, as far as it names them.
    training
        What it says of the training, as far as it does: `lr`, `epochs`, `batch`, and of a maze
        `episode_length`.
    ignored
        What it says without effect, a sentence each.
    """

    variant: Variant
    unit: str
    config: Options
    squashed: bool = False
    fixed: dict[str, float] = field(default_factory=dict)
    initial: dict[str, tuple[float, float]] = field(default_factory=dict)
    training: Options = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def from_published_config(
    config: Mapping[str, Any] | str | os.PathLike[str],
    *,
    input_size: int | None = None,
    variant: Variant = "published",
) -> PublishedModel:
    """Reads a configuration of the code published with the paper, of associative retrieval or of the maze.

        model = from_published_config(pathlib.Path("stpnr.json"))
        cell = stpn_swift.cell_from_config(model.config)

    Parameters
    ----------
    config
        The configuration: a dict, its JSON as text, or the path of a file of that as a `pathlib.Path`.
    input_size
        I; None: the `data.dict_size` of retrieval, 37 where it has none, or 17 for the maze.
    variant
        "published": what the code did; "paper": the equations of the paper with the same options. They differ
        where docs/cells.md, section 6, says so.

    Returns
    -------
    model
        `ignored` tells what had no effect.

    Raises
    ------
    TypeError
        `config` is neither a dict, text nor a path.
    ValueError
        An entry is missing, of the wrong type, or says what this library does not do; the message names it.
    OSError
        A file cannot be read.
    """
    if variant not in ("published", "paper"):
        raise ValueError(f'variant: expected "published" or "paper", got {variant!r}')
    if input_size is not None and (type(input_size) is not int or input_size < 1):
        raise ValueError(f"input_size: expected an integer of 1 or more, got {input_size!r}")
    file = _Section(read_entries(config), "")
    if file.has("model"):
        read = _read_retrieval
    elif file.has("command"):
        read = _read_maze
    else:
        raise ValueError(
            f"config: expected an entry 'model' (retrieval) or 'command' (maze), got {[*file.entries]}"
        )
    model = read(file, variant, input_size)
    return PublishedModel(variant=variant, ignored=tuple(file.without_effect()), **model)


def read_entries(config: object) -> Mapping[str, Any]:
    """Of a configuration in any form that `from_published_config` takes."""
    if isinstance(config, os.PathLike):
        config = Path(config).read_text(encoding="utf-8")
    if isinstance(config, str):
        try:
            config = json.loads(config.removeprefix("\ufeff"))  # of an editor that marks UTF-8
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"config: expected JSON or a pathlib.Path, got text that is no JSON: {error}"
            ) from None
    if not isinstance(config, Mapping):
        raise TypeError(f"config: expected a dict, JSON or a path, got {type(config).__name__}")
    return config


class _Section:
    """A dict of a configuration that remembers what was asked for: the rest has no effect."""

    def __init__(self, entries: object, path: str) -> None:
        if not isinstance(entries, Mapping):
            raise ValueError(f"{path}: expected an object, got {entries!r}")
        self.entries = entries
        self.path = path
        self._sections: dict[str, _Section] = {}
        self._used: set[str] = set()
        self._remarks: dict[str, str] = {}

    def name(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether it has an entry that is not null."""
        return self.entries.get(key) is not None

    def section(self, key: str, parse: Callable[[Any], object] = lambda entries: entries) -> _Section:
        """The dict that an entry is, or is parsed to, or an empty one."""
        if key not in self._sections:
            entries = parse(self.entries[key]) if self.has(key) else {}
            self._sections[key] = _Section(entries, self.name(key))
        return self._sections[key]

    def refusal(self, key: str, expected: str, reason: str = "") -> ValueError:
        got = repr(self.entries[key]) if key in self.entries else "no such entry"
        return ValueError(f"{self.name(key)}: expected {expected}, got {got}{reason and ', ' + reason}")

    def get(self, key: str, default: Any = None) -> Any:
        self._used.add(key)
        return self.entries.get(key, default)

    def choice(
        self,
        key: str,
        meanings: Mapping[Any, Any],
        default: Any = ...,
        refused: Mapping[Any, str] | None = None,
    ) -> Any:
        """What the value of an entry means; `refused` has reasons why others are refused. Lists are tuples
        in both."""
        value = self.get(key, default)
        value = tuple(value) if isinstance(value, list) else value
        try:
            return meanings[value]
        except (KeyError, TypeError):
            reasons = {repr(name): reason for name, reason in (refused or {}).items()}
            expected = [json.dumps(name) for name in meanings]
            raise self.refusal(key, " or ".join(expected), reasons.get(repr(value), "")) from None

    def flag(self, key: str, default: bool) -> bool:
        value = self.get(key, default)
        if not isinstance(value, bool):
            raise self.refusal(key, "true or false")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        value = self.get(key, default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and abs(value) <= sys.float_info.max):
            raise self.refusal(key, "a number")
        return float(value)

    def size(self, key: str, default: int | None = None) -> int:
        value = self.get(key, default)
        if type(value) is not int or value < 1:
            raise self.refusal(key, "an integer of 1 or more")
        return value

    def ignore(self, key: str, reason: str) -> None:
        self._remarks[key] = reason

    def without_effect(self) -> Iterator[str]:
        """A sentence on each entry that nobody asked for; null and empty ones say nothing."""
        for key, value in self.entries.items():
            if key in self._remarks:
                yield f"{self.name(key)}: {self._remarks[key]}"
            elif key in self._sections:
                yield from self._sections[key].without_effect()
            elif key not in self._used and value is not None and value not in ({}, []):
                yield f"{self.name(key)} has no effect"


def _read_retrieval(file: _Section, variant: Variant, input_size: int | None) -> Options:
    model, training, data = file.section("model"), file.section("training"), file.section("data")
    unit = model.choice("recurrent_unit", {name: name for name in _RETRIEVAL_UNITS})
    dict_size = data.size("dict_size", 37)
    network = _Network(
        published=variant == "published",
        retrieval=True,
        inputs=dict_size if input_size is None else input_size,
        neurons=model.size("hidden_size"),
        model=model,
        arguments=model.section("rnn_args"),
        stp=model.section("rnn_args").section("stp"),
    )
    settings: Options = {}
    if file.has("training"):
        training.choice("optimizer", {"Adam": "Adam"}, "Adam")
        settings["epochs"] = training.section("convergence_args").size("max_epochs", 200)
        if training.section("optimizer_args").has("lr"):
            settings["lr"] = training.section("optimizer_args").number("lr")
    if data.has("batch_size"):
        settings["batch"] = data.size("batch_size")
    return {"unit": unit, "training": settings, **_RETRIEVAL_UNITS[unit](network)}


def _read_maze(file: _Section, variant: Variant, input_size: int | None) -> Options:
    command = file.section("command").section("train", _command_line)
    unit = command.choice("--type", {name: name for name in _MAZE_UNITS})
    network = _Network(
        published=variant == "published",
        retrieval=False,
        inputs=17 if input_size is None else input_size,
        neurons=command.size("--hs"),
        model=_Section({}, "model"),
        arguments=_Section({}, "model.rnn_args"),
        stp=file.section("stp"),
    )
    training: Options = {}
    for name, key in (("batch", "--bs"), ("episode_length", "--eplen")):
        if command.has(key):
            training[name] = command.size(key)
    if command.has("--lr"):
        training["lr"] = command.number("--lr")
    return {"unit": unit, "training": training, **_MAZE_UNITS[unit](network)}


def _command_line(line: object) -> object:
    """The options of a command line as a dict; what is no command line as it is."""
    words = line.split() if isinstance(line, str) else line
    if not isinstance(words, list):
        return line
    options: Options = {}
    name = ""
    for word in map(str, words):
        if word.startswith("--"):
            name, _, value = word.partition("=")
            options[name] = _literal(value) if value else True
        elif name:
            options[name], name = _literal(word), ""
    return options


def _literal(word: str) -> Any:
    """A number as such, another word as text."""
    try:
        return json.loads(word)
    except ValueError:
        return word


@dataclass(frozen=True)
class _Network:
    """What the description of any network is made of."""

    published: bool
    retrieval: bool
    inputs: int
    neurons: int
    model: _Section
    arguments: _Section
    stp: _Section

    def config(self, cell: str, **options: Any) -> Options:
        return {"cell": cell, "input_size": self.inputs, "hidden_size": self.neurons, **options}


_RATES = ("weight_lambda", "weight_gamma")
_BIAS_RATES = ("bias_lambda", "bias_gamma")
_SCALAR: dict[Any, str] = {(): "scalar", None: "scalar"}
_SHAPES: dict[Any, str] = {(0, 1): "synapse", **_SCALAR, (1,): "presynaptic"}
_BROKEN = {
    (0,): 'which is broken in the published code: a rate for each neuron is plasticity_shape="neuron" here'
}
_PLASTIC = {
    True: {"all": "all", "input": "input", "hidden": "hidden"},
    False: {"all": "all", "input": "input"},
}
_DECAYS = {"stp": "stp", "stp_prompt_decay": "prompt"}
_UNKNOWN_DECAYS = {"stp_weight_dependent": "which the published code never implemented"}
_ACTIVATIONS = {"functional_tanh": "tanh", "functional_sigmoid": "sigmoid"}


def _stpn(network: _Network, recurrent: bool) -> Options:
    arguments, stp = network.arguments, network.stp
    learned = stp.flag("learn_plastic_weight_params", True)
    options = {
        "recurrent": recurrent,
        "plastic": stp.choice("plastic_weight_connections", _PLASTIC[recurrent], "all"),
        "plasticity_shape": "scalar",
        "decay": stp.section("plasticity_type").choice("weight", _DECAYS, "stp", _UNKNOWN_DECAYS),
        "rule": stp.choice("plasticity_rule", {"hebb": "hebb", "oja": "oja"}, "hebb"),
        "clamp": _clamp(stp),
        "plastic_bias": stp.flag("plastic_bias", False),
        "layer_norm": arguments.flag("layer_norm", False),
        "bias": arguments.flag("bias", True),
        "activation": "tanh",
        **_normalization(network, recurrent),
    }
    if network.retrieval:
        options["activation"] = network.model.choice("activation", _ACTIVATIONS)
    if learned:
        options["plasticity_shape"] = stp.choice("learn_plastic_weight_params_dims", _SHAPES, None, _BROKEN)
    if options["plastic_bias"]:
        stp.choice("learn_plastic_bias_params", {True: True}, True)
        stp.choice("learn_plastic_bias_params_dims", {(0,): "neuron"}, [0])
    if network.published and recurrent and network.retrieval:
        options["presynaptic"] = "current"
    if network.published and not recurrent and options["normalize"] is not None:
        options["bias"] = False
        arguments.ignore("bias", "has no effect, STPNf with a norm has no bias in the published code")
    drawn = [*(_RATES if learned else ()), *(_BIAS_RATES if options["plastic_bias"] else ())]
    fan_in = network.neurons if recurrent else network.inputs
    return {
        "config": network.config("stpn", **options),
        "squashed": network.published and not recurrent and network.retrieval,
        "fixed": {} if learned else _fixed_rates(stp),
        "initial": _initial(network, fan_in, drawn, options["layer_norm"]),
    }


def _fixed_rates(stp: _Section) -> dict[str, float]:
    values = stp.section("learn_plastic_weight_params_kwargs")
    return {name: values.section(name).number("fixed_parameter_value") for name in _RATES}


def _clamp(stp: _Section) -> float | None:
    key = "plastic_weight_clamp_val"
    if key in stp.entries and stp.get(key) is None:
        return None
    clamp = stp.number(key, 1000.0)
    if clamp < 0:
        raise stp.refusal(key, "null or a number of 0 or more")
    return clamp


def _normalization(network: _Network, recurrent: bool) -> Options:
    norms = network.stp.section("plasticity_type_kwargs")
    of_read, of_F = norms.section("weight_norm"), norms.section("plastic_weight_norm")
    time = of_F.choice("time", {"pre": "pre", "post": "post"}) if norms.has("plastic_weight_norm") else None
    if time == "post":
        of_F.choice("norm", {"G": "G"}, "G", {"F": "which divides by the norm of F alone"})
        if not norms.has("weight_norm"):
            reason = 'as "post" here divides the read too'
            raise norms.refusal("weight_norm", 'an object where plastic_weight_norm.time is "post"', reason)
    if not norms.has("weight_norm"):
        of_F.ignore("time", "has no effect without a weight_norm")
        return {"normalize": None}
    if time == "pre":
        if of_F.entries.get("norm") == "G":
            of_F.get("norm")
        if network.published and not recurrent:
            of_F.ignore("time", 'has no effect on STPNf, where "pre" is "output" in the published code')
            time = None
    reason = "an input column's norm, which is not offered here"
    return {
        "normalize": time or "output",
        "norm_axis": of_read.choice("dim", {2: "neuron", (1, 2): "layer"}, 2, {1: reason}),
        "norm_gain": of_read.flag("learn", False),
    }


def _initial(
    network: _Network, fan_in: int, drawn: Iterable[str], layer_norm: bool
) -> dict[str, tuple[float, float]]:
    k = fan_in**-0.5
    ranges = network.stp.section("plastic_weights_init_config")
    initial = {name: _range(ranges.section(name), k) for name in drawn if ranges.has(name)}
    if network.published and layer_norm:
        initial |= dict.fromkeys(("layer_norm.weight", "layer_norm.bias"), (-k, k))
    return initial


def _range(drawn: _Section, k: float) -> tuple[float, float]:
    drawn.choice("mode", {"uniform": "uniform"}, "uniform")
    mean, spread = drawn.number("mean"), drawn.number("spread")
    weighting = {None: (1.0, 1.0), "both": (k, k), "below": (2 * k, 0.0), "above": (0.0, 2 * k)}
    below, above = drawn.choice("hidden_weighting", weighting, None)
    return mean - below * spread, mean + above * spread


def _hebbff(network: _Network) -> Options:
    stp = network.stp
    if network.retrieval:
        network.model.choice("activation", {"functional_sigmoid": "sigmoid"})
    stp.choice("learn_plastic_weight_params", {True: True}, True)
    stp.choice("learn_plastic_weight_params_dims", _SCALAR, None)
    stp.choice("plastic_weight_connections", _PLASTIC[False], "all")
    _check_simple_plasticity(stp)
    return {
        "config": network.config("hebbff", recurrent=False),
        "squashed": network.published and network.retrieval,
    }


def _fast_weights(network: _Network) -> Options:
    arguments, stp = network.arguments, network.stp
    stp.choice("plastic_weight_connections", {"hidden": "hidden"}, "hidden")
    _check_simple_plasticity(stp)
    options = {
        "inner_steps": arguments.size("S", 1),
        "layer_norm": arguments.flag("layer_norm", True),
        "activation": arguments.choice(
            "activation", {name: name for name in ("tanh", "relu", "sigmoid")}, "tanh"
        ),
    }
    learned = stp.flag("learn_plastic_weight_params", True)
    fixed = {}
    if not learned:
        fixed = _fixed_rates(stp)
    elif network.published:
        reason = 'as A is updated twice a step there: variant="paper" learns the rates of one update'
        raise stp.refusal("learn_plastic_weight_params", "false", reason)
    else:
        stp.choice("learn_plastic_weight_params_dims", _SCALAR, None)
    if network.published:
        decay, rate = (fixed[name] for name in _RATES)
        fixed = {"weight_lambda": decay**2, "weight_gamma": (1 + decay) * rate}
    initial = _initial(network, network.neurons, _RATES if learned else (), options["layer_norm"])
    return {"config": network.config("fast_weights", **options), "fixed": fixed, "initial": initial}


def _check_simple_plasticity(stp: _Section) -> None:
    """What STPN alone has is not asked for."""
    stp.section("plasticity_type").choice("weight", {"stp": "stp"}, "stp")
    stp.choice("plasticity_rule", {"hebb": "hebb"}, "hebb")
    stp.choice("plastic_bias", {False: False}, False)
    clamp = _clamp(stp)
    if clamp is not None and clamp < 1000:
        raise stp.refusal("plastic_weight_clamp_val", "null or 1000", "and this cell does not clip")
    norms = stp.section("plasticity_type_kwargs")
    for name in ("weight_norm", "plastic_weight_norm"):
        if norms.has(name):
            raise norms.refusal(name, "no such entry", "and this cell has no norm")


def _modulated(network: _Network) -> Options:
    arguments = network.arguments
    arguments.choice("NBDA", {1: 1}, 1)
    arguments.choice("clamp_val", {1: 1}, 1)
    options = {
        "kind": arguments.choice(
            "net_type", {name: name for name in ("modplast", "modul", "plastic")}, "modplast"
        ),
        "addpw": arguments.choice("addpw", {n: n for n in range(4)}, 3),
        "da": arguments.choice("da", {name: name for name in ("tanh", "sig", "lin")}, "tanh"),
    }
    return {"config": network.config("modulated", **options)}


def _of_torch(network: _Network, cell: str) -> Options:
    network.arguments.choice("bias", {True: True}, True)
    network.arguments.choice("layer_norm", {False: False}, False)
    if cell == "rnn":
        network.model.choice("activation", {None: "tanh", "functional_tanh": "tanh"}, None)
    return {"config": network.config(cell)}


_RETRIEVAL_UNITS: dict[str, Callable[[_Network], Options]] = {
    "STPNr": partial(_stpn, recurrent=True),
    "STPNf": partial(_stpn, recurrent=False),
    "HebbFF": _hebbff,
    "FastWeights": _fast_weights,
    "MODPLAST": _modulated,
    "LSTM": partial(_of_torch, cell="lstm"),
    "RNN": partial(_of_torch, cell="rnn"),
}

_MAZE_UNITS: dict[str, Callable[[_Network], Options]] = {
    "stpn": _RETRIEVAL_UNITS["STPNr"],
    "stplinear": _RETRIEVAL_UNITS["STPNf"],
    "hebbff": _hebbff,
    "modplast": _modulated,
    "lstm": _RETRIEVAL_UNITS["LSTM"],
    "rnn": _RETRIEVAL_UNITS["RNN"],
}
