"""Cells with options, sizes and values drawn at random: every implementation computes what the plain one
does, and the gradients of the plain one are the slopes of its outputs.

The draws are the same in every run: 500 for each test, in `make test-thorough` 5,000 (see conftest.py).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from arrays import draw as draw_arrays
from arrays import results
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from stpn_swift import Cell, _kernel, cell_from_config
from variants import lively_parameters

Array = NDArray[Any]
Arrays = dict[str, Array]
Config = dict[str, Any]
Configs = st.SearchStrategy[Config]

FAST = [name for name, available, _ in _kernel.implementations() if available and name != "plain"]

# Of each cell the values of its options, the simplest first.
OPTIONS: dict[str, dict[str, list[Any]]] = {
    "stpn": {
        "recurrent": [False, True],
        "plastic": ["all", "input", "hidden"],
        "plasticity_shape": ["synapse", "neuron", "presynaptic", "scalar"],
        "normalize": [None, "output", "pre", "post"],
        "norm_axis": ["neuron", "layer"],
        "norm_gain": [False, True],
        "decay": ["stp", "prompt"],
        "rule": ["hebb", "oja"],
        "presynaptic": ["previous", "current"],
        "clamp": [None, 0.05, 0.3],
        "bias": [False, True],
        "plastic_bias": [False, True],
        "layer_norm": [False, True],
        "activation": ["identity", "relu", "tanh", "sigmoid"],
    },
    "hebbff": {"forced": [False, True]},
    "fast_weights": {
        "inner_steps": [1, 2, 3],
        "layer_norm": [False, True],
        "activation": ["identity", "relu", "tanh", "sigmoid"],
    },
    "modulated": {
        "kind": ["modplast", "modul", "plastic"],
        "addpw": [0, 1, 2, 3],
        "da": ["tanh", "sig", "lin"],
    },
}

# The same of cells whose synapses are a linear memory: the fast kernel takes many of their steps at a time.
LINEAR_MEMORIES: dict[str, dict[str, list[Any]]] = {
    "stpn": {name: values[:1] for name, values in OPTIONS["stpn"].items()}
    | {name: OPTIONS["stpn"][name] for name in ("bias", "activation")}
    | {"plasticity_shape": ["scalar"]},
    **{cell: OPTIONS[cell] for cell in ("hebbff", "fast_weights")},
}

# What a call leaves out: an argument, or an entry of one.
ABSENT = [
    (),
    ("state",),
    ("resets",),
    ("grad_y",),
    ("grad_state",),
    ("state", "resets"),
    ("grad_state h",),
    ("grad_y", "grad_state F"),
]

# Consistent values for options that contradict others.
CONSISTENT = {"plastic": "all", "presynaptic": "previous", "norm_gain": False, "norm_axis": "neuron"}


def contradictions(config: Config) -> set[str]:
    """The options of a config that contradict another."""
    if config["cell"] != "stpn":
        return set()
    wrong = set()
    if not config["recurrent"] and config["plastic"] == "hidden":
        wrong.add("plastic")
    if not config["recurrent"] and config["presynaptic"] == "current":
        wrong.add("presynaptic")
    if config["normalize"] is None and config["norm_gain"]:
        wrong.add("norm_gain")
    if config["normalize"] is None and config["norm_axis"] == "layer":
        wrong.add("norm_axis")
    return wrong


def one_of_each(choices: Mapping[str, Sequence[Any]]) -> Configs:
    return st.fixed_dictionaries({name: st.sampled_from(values) for name, values in choices.items()})


def sized(options: Mapping[str, Mapping[str, Sequence[Any]]], largest: int) -> dict[str, Configs]:
    """Of each cell its configs up to a size."""
    sizes = dict.fromkeys(("input_size", "hidden_size"), range(1, largest + 1))
    return {cell: one_of_each({"cell": [cell], **values, **sizes}) for cell, values in options.items()}


def configs(largest: int) -> Configs:
    """Most of them of STPN, which has the most options."""
    cells = sized(OPTIONS, largest)
    return st.sampled_from([*cells, *["stpn"] * 4]).flatmap(cells.__getitem__)


def linear_memories(largest: int) -> Configs:
    return st.one_of(*sized(LINEAR_MEMORIES, largest).values())


@given(configs(3))
def test_contradictions_are_refused_with_the_reason(config: Config) -> None:
    wrong = contradictions(config)
    if not wrong:
        assert cell_from_config(config).config.items() >= config.items()
        return
    with pytest.raises(ValueError) as error:
        cell_from_config(config)
    option, reason = str(error.value).split(": expected ")
    assert option in wrong and reason


@dataclass(frozen=True)
class Problem:
    """A cell, and what goes into forward and backward."""

    cell: Cell
    call: dict[str, Any]

    def __repr__(self) -> str:
        entries = [*(self.call["grad_state"] or ())]
        given = [name for name, value in self.call.items() if value is not None]
        return f"{self.cell}, x {self.call['x'].shape}, {given}, grad_state {entries}"

    def results(self, implementation: str, threads: int = 1) -> Arrays:
        self.cell.implementation, self.cell.threads = implementation, threads
        return results(self.cell, **self.call)

    def arrays(self) -> Arrays:
        """What has gradients, by the names that these have in `results`."""
        arrays = {f"param {name}": array for name, array in self.cell.params.items()}
        arrays |= {f"state {name}": array for name, array in (self.call["state"] or {}).items()}
        return arrays | {"x": self.call["x"]}


def rate(config: Config, K: int) -> float:
    """How large learning rates may be: where nothing bounds the activations, as large as not to let them
    explode."""
    bounded = config.get("activation") not in ("relu", "identity")
    normalized = config.get("layer_norm") or config.get("normalize") is not None
    return 0.5 if bounded or normalized else 0.5 / K


@st.composite
def problems(draw: st.DrawFn, configs: Configs, batch: int, times: Sequence[int]) -> Problem:
    """Problems up to a batch, the simplest time first."""
    config = draw(configs)
    config |= {option: CONSISTENT[option] for option in contradictions(config)}
    cell = cell_from_config(config, dtype="float64")
    sizes = {"B": range(1, batch + 1), "T": times}
    call = draw(one_of_each({**sizes, "absent": ABSENT, "resets": [0.3, 0.02]}))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    K = config["input_size"] + config["hidden_size"]
    cell.params.update(lively_parameters(cell, random, rate(config, K)))
    arrays = draw_arrays(random, cell, call["B"], call["T"])
    arrays["resets"] = random.random((call["B"], call["T"])) < call["resets"]
    for name in call["absent"]:
        argument, _, entry = name.partition(" ")
        if entry:
            arrays[argument].pop(entry, None)
        else:
            arrays[argument] = None
    return Problem(cell, arrays)


def differences(actual: Arrays, expected: Arrays) -> dict[str, float]:
    """The largest of each array, in units of its largest number (or 1); infinite where one is not finite."""

    def largest(actual: Array, expected: Array) -> float:
        if expected.size == 0:
            return 0.0
        with np.errstate(invalid="ignore"):
            difference = np.abs(actual - expected).max() / max(1, np.abs(expected).max())
        return float(np.nan_to_num(difference, nan=np.inf))

    assert actual.keys() == expected.keys()
    return {name: largest(actual[name], array) for name, array in expected.items()}


def shaken(problem: Problem, seed: int) -> Problem:
    """The same with every number off by a few roundings."""
    random = np.random.default_rng(seed)

    def shake(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shake(array) for name, array in value.items()}
        if value is None or value.dtype == bool:
            return value
        return np.asarray(value * (1 + 1e-15 * random.standard_normal(value.shape)))

    cell = cell_from_config(problem.cell.config, dtype="float64")
    cell.params = shake(problem.cell.params)
    return Problem(cell, shake(problem.call))


def sensitivity(problem: Problem, expected: Arrays) -> float:
    """How much roundings of the inputs change what the plain one computes. Of three tries the largest: for a
    gradient of one number a single one is at times small by luck.
    """
    tries = (differences(shaken(problem, seed).results("plain"), expected) for seed in range(3))
    return max(max(one.values()) for one in tries)


def check_every_implementation(problems: st.SearchStrategy[Problem]) -> None:
    """Within 1e-11, where inputs that are a few roundings off change what the plain one computes by less than
    1e-12: another order of sums does as much, so no implementation can promise better. Few draws are more
    sensitive, by recurrence, a small norm or a gate at its edge.
    """
    drawn, left_out = 0, 0

    @given(problems, st.sampled_from(FAST), st.integers(1, 3))
    def check(problem: Problem, implementation: str, threads: int) -> None:
        nonlocal drawn, left_out
        drawn += 1
        expected = problem.results("plain")
        sensitive = sensitivity(problem, expected) > 1e-12
        left_out += sensitive
        assume(not sensitive)
        errors = differences(problem.results(implementation, threads), expected)
        assert max(errors.values()) < 1e-11, errors

    check()
    assert left_out < 0.05 * drawn, (left_out, drawn)


def test_every_implementation_computes_what_the_plain_one_does() -> None:
    check_every_implementation(problems(configs(40), batch=9, times=[*range(1, 13), 0]))


def test_linear_memories_over_many_chunks() -> None:
    """Chunks are of 16 to 64 steps, the longer ones in cells of more than 24 neurons and inputs."""
    check_every_implementation(problems(linear_memories(32), batch=5, times=range(17, 151)))


def test_gradients_are_the_slopes_of_the_loss() -> None:
    """Along one direction of each array, within 1e-7 of the larger of 1 and the slope.

    Two central differences, of steps h and h/2, make an estimate whose error is of the order of h⁴, and
    rounding adds about 1e-16/h. Where the two differ by more than 1e-7 there is a kink (relu, clip, |·|)
    between the points: few directions have one.
    """
    h = 1e-5
    directions, kinks = 0, 0

    def loss(problem: Problem) -> float:
        call = problem.call
        y, final = problem.cell(call["x"], call["state"], call["resets"])
        pairs = [(final[name], gradient) for name, gradient in (call["grad_state"] or {}).items()]
        if call["grad_y"] is not None:
            pairs.append((y, call["grad_y"]))
        return sum(float(np.sum(array * gradient)) for array, gradient in pairs)

    def slope(problem: Problem, array: Array, direction: Array, h: float) -> float:
        at = array.copy()
        array[...] = at + h * direction
        above = loss(problem)
        array[...] = at - h * direction
        below = loss(problem)
        array[...] = at
        return (above - below) / (2 * h)

    @given(problems(configs(7), batch=3, times=[*range(1, 7), 0]))
    def check(problem: Problem) -> None:
        nonlocal directions, kinks
        gradients = problem.results("plain")
        random = np.random.default_rng(0)
        for name, array in problem.arrays().items():
            direction = random.standard_normal(array.shape) / max(1, np.sqrt(array.size))
            expected = float(np.sum(gradients[f"grad {name}"] * direction))
            coarse, fine = (slope(problem, array, direction, step) for step in (h, h / 2))
            bound = 1e-7 * max(1, abs(fine))
            directions += 1
            if abs(coarse - fine) > bound:
                kinks += 1
                continue
            assert abs((4 * fine - coarse) / 3 - expected) < bound, name

    check()
    assert kinks < 0.02 * directions
