"""Making cells: parameters and their initial values, configs, copies."""

import copy
import inspect
import json
import pickle
from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift
from arrays import assert_same, draw
from stpn_swift import STPN, STPNF, STPNR, Cell, FastWeights, HebbFF, Modulated, cell_from_config
from variants import CONFIGS, make

I, H = 40, 60  # noqa: E741
RECURRENT, FORWARD = H**-0.5, I**-0.5  # k of docs/cells.md, section 1

# (shape, low, high) of a parameter, and the shape of a state
Ranges = dict[str, tuple[tuple[int, ...], float, float]]
Shapes = dict[str, tuple[int, ...]]


def rates(shape: tuple[int, ...], k: float = RECURRENT) -> Ranges:
    return {"weight_lambda": (shape, 0, 1), "weight_gamma": (shape, -0.001 * k, 0.001 * k)}


def weight(K: int = I + H, k: float = RECURRENT) -> Ranges:
    return {"weight": ((H, K), -k, k), "bias": ((H,), -k, k)}


LAYER_NORM: Ranges = {"layer_norm.weight": ((H,), 1, 1), "layer_norm.bias": ((H,), 0, 0)}
PLASTIC_BIAS: Ranges = {
    "bias_lambda": ((H,), 0, 1),
    "bias_gamma": ((H,), -0.001 * RECURRENT, 0.001 * RECURRENT),
}
FAST_WEIGHTS: Ranges = {**weight(), "weight_lambda": ((), 0.9, 0.9), "weight_gamma": ((), 0.5, 0.5)}
MODULATED: Ranges = {
    "i2h.weight": ((H, I), -FORWARD, FORWARD),
    "i2h.bias": ((H,), -FORWARD, FORWARD),
    "w": ((H, H), 0, 0.01),
    "alpha": ((H, H), 0, 0.01),
}
MODULATOR: Ranges = {
    "h2DA.weight": ((1, H), -RECURRENT, RECURRENT),
    "h2DA.bias": ((1,), -RECURRENT, RECURRENT),
}

SPECIFICATION: list[tuple[Cell, Ranges, Shapes]] = [
    (STPNR(I, H), weight() | rates((H, I + H)), {"h": (H,), "F": (H, I + H)}),
    (STPNF(I, H), weight(I, FORWARD) | rates((H, I), FORWARD), {"F": (H, I)}),
    (
        STPNR(I, H, bias=False, plastic="input"),
        {"weight": weight()["weight"]} | rates((H, I)),
        {"h": (H,), "F": (H, I)},
    ),
    (
        STPNR(I, H, plasticity_shape="neuron", plastic="hidden"),
        weight() | rates((H,)),
        {"h": (H,), "F": (H, H)},
    ),
    (
        STPNR(I, H, plasticity_shape="presynaptic", plastic="hidden"),
        weight() | rates((H,)),
        {"h": (H,), "F": (H, H)},
    ),
    (STPNR(I, H, plasticity_shape="presynaptic"), weight() | rates((I + H,)), {"h": (H,), "F": (H, I + H)}),
    (STPNF(I, H, plasticity_shape="scalar"), weight(I, FORWARD) | rates((), FORWARD), {"F": (H, I)}),
    (
        STPNR(I, H, norm_gain=True, layer_norm=True),
        weight() | rates((H, I + H)) | {"norm_gain": ((H,), 1, 1)} | LAYER_NORM,
        {"h": (H,), "F": (H, I + H)},
    ),
    (
        STPN(I, H, plastic_bias=True),
        weight() | rates((H, I + H)) | PLASTIC_BIAS,
        {"h": (H,), "F": (H, I + H), "fb": (H,)},
    ),
    (
        HebbFF(I, H),
        weight(I, FORWARD)
        | {
            "raw_lambda": ((), np.log(0.99 / 0.01), np.log(0.99 / 0.01)),
            "raw_gamma": ((), np.log(5 / H), np.log(5 / H)),
        },
        {"F": (H, I)},
    ),
    (
        HebbFF(I, H, forced=False),
        weight(I, FORWARD) | {"raw_lambda": ((), 0.99, 0.99), "raw_gamma": ((), -5 / H, -5 / H)},
        {"F": (H, I)},
    ),
    (FastWeights(I, H), FAST_WEIGHTS | LAYER_NORM, {"h": (H,), "F": (H, H)}),
    (FastWeights(I, H, layer_norm=False), FAST_WEIGHTS, {"h": (H,), "F": (H, H)}),
    (Modulated(I, H), MODULATED | MODULATOR, {"h": (H,), "F": (H, H)}),
    (
        Modulated(I, H, kind="modul"),
        MODULATED | MODULATOR | {"etaet": ((1,), 0.01, 0.01)},
        {"h": (H,), "F": (H, H), "E": (H, H)},
    ),
    (
        Modulated(I, H, kind="plastic"),
        MODULATED | {"eta": ((1,), 0.01, 0.01)},
        {"h": (H,), "F": (H, H)},
    ),
]

each = pytest.mark.parametrize(
    ("cell", "ranges", "states"), SPECIFICATION, ids=[repr(row[0]) for row in SPECIFICATION]
)


@each
def test_parameters_and_states_are_those_of_the_specification(
    cell: Cell, ranges: Ranges, states: Shapes
) -> None:
    assert {name: array.shape for name, array in cell.params.items()} == {
        name: shape for name, (shape, _, _) in ranges.items()
    }
    assert all(array.dtype == np.float32 and array.flags.writeable for array in cell.params.values())
    initial = cell.initial_state(3)
    assert {name: array.shape for name, array in initial.items()} == {
        name: (3, *shape) for name, shape in states.items()
    }
    assert all(array.dtype == np.float32 and not array.any() for array in initial.values())


@each
def test_initial_values_have_the_ranges_of_the_specification(
    cell: Cell, ranges: Ranges, states: Shapes
) -> None:
    params = cell_from_config(cell.config, dtype="float64", seed=0).params
    for name, (_, low, high) in ranges.items():
        smallest, largest = params[name].min(), params[name].max()
        assert low - 1e-15 <= smallest <= largest <= high + 1e-15, name
        if params[name].size > 30:
            assert smallest - low <= 0.15 * (high - low) and high - largest <= 0.15 * (high - low), name


def test_initial_hebbff_decays_and_learns_as_it_should() -> None:
    for forced in (True, False):
        cell = HebbFF(1, 4, forced=forced, dtype="float64")
        y, state = cell(np.ones((1, 1, 1)), {"F": np.ones((1, 4, 1))})
        np.testing.assert_allclose(state["F"][0, :, 0], 0.99 - 5 / 4 * y[0, 0], rtol=1e-14)


def test_the_seed_decides_the_parameters(variant: str) -> None:
    config = {**CONFIGS[variant], "input_size": 3, "hidden_size": 5}
    expected = cell_from_config(config, seed=7).params
    assert_same(cell_from_config(config, seed=7).params, expected)
    assert_same(cell_from_config(config, seed=np.random.default_rng(7)).params, expected)
    first = next(iter(expected))
    for other in (cell_from_config(config, seed=8), cell_from_config(config)):
        assert not np.array_equal(other.params[first], expected[first])


def test_float32_parameters_are_the_float64_ones_rounded() -> None:
    wide = STPNR(3, 5, dtype="float64", seed=7).params
    assert_same(STPNR(3, 5, seed=7).params, {name: array.astype(np.float32) for name, array in wide.items()})


# Configs


def test_the_defaults_are_those_of_the_specification() -> None:
    sizes = {"input_size": 3, "hidden_size": 5}
    stpn = {
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
    assert STPN(3, 5).config == {"cell": "stpn", **sizes, "recurrent": True, **stpn}
    assert STPNR(3, 5).config == STPN(3, 5).config
    assert STPNF(3, 5).config == STPN(3, 5, recurrent=False).config
    assert HebbFF(3, 5).config == {"cell": "hebbff", **sizes, "recurrent": False, "forced": True}
    fast_weights = {"inner_steps": 1, "layer_norm": True, "activation": "tanh"}
    assert FastWeights(3, 5).config == {"cell": "fast_weights", **sizes, **fast_weights}
    assert Modulated(3, 5).config == {
        "cell": "modulated",
        **sizes,
        "kind": "modplast",
        "addpw": 3,
        "da": "tanh",
    }


@pytest.mark.parametrize("cls", [STPN, HebbFF, FastWeights, Modulated])
def test_the_documentation_names_options_and_defaults(cls: type[Cell]) -> None:
    documentation = inspect.getdoc(cls)  # without the indentation, which Python 3.13 leaves out by itself
    assert documentation is not None
    for name, default in cls.OPTIONS.items():
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        assert f"\n{name} = {shown}\n" in documentation


def test_options_that_a_config_leaves_out_have_their_defaults() -> None:
    for cell in (STPNR(3, 5), STPNF(3, 5), HebbFF(3, 5), FastWeights(3, 5), Modulated(3, 5)):
        config = {key: cell.config[key] for key in ("cell", "input_size", "hidden_size")}
        if isinstance(cell, STPNF):
            config["recurrent"] = False
        assert cell_from_config(config).config == cell.config


def test_a_config_is_json_and_builds_the_cell_again(variant: str) -> None:
    cell = make(variant, 3, 5)
    again = cell_from_config(json.loads(json.dumps(cell.config)), dtype="float64", seed=0)
    assert type(again) is type(cell) and again.config == cell.config and again.dtype == cell.dtype
    assert cell.config.items() >= CONFIGS[variant].items()


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_configs_build_cells(name: str) -> None:
    config = golden.load(name, "float32").config
    cell = cell_from_config(config)
    expected = {
        "stpn": STPNR if config.get("recurrent") else STPNF,
        "hebbff": HebbFF,
        "fast_weights": FastWeights,
        "modulated": Modulated,
    }
    assert type(cell) is expected[config["cell"]]
    assert cell.config.items() >= config.items()
    assert cell_from_config(cell.config).config == cell.config


def test_options_of_numpy_types_become_those_of_json() -> None:
    cell = STPNR(
        np.int64(3),  # type: ignore[arg-type]
        5,
        normalize=None,
        clamp=np.float64(0.5),
        bias=np.False_,  # type: ignore[arg-type]
    )
    config = json.loads(json.dumps(cell.config))
    assert config["input_size"] == 3 and config["clamp"] == 0.5 and config["bias"] is False
    assert cell_from_config(config).config == cell.config


@pytest.mark.parametrize("cls", [STPN, STPNR, STPNF])
def test_an_infinite_clamp_is_none(cls: type[STPN]) -> None:
    config = cls(3, 4, clamp=np.inf).config
    assert json.loads(json.dumps(config, allow_nan=False))["clamp"] is None


def test_a_config_is_a_copy() -> None:
    cell = STPNR(3, 5)
    cell.config["hidden_size"] = 1000
    assert cell.config["hidden_size"] == 5


def test_recurrent_makes_the_class() -> None:
    assert STPNR(3, 5).config["recurrent"] is True and STPNF(3, 5).config["recurrent"] is False
    assert issubclass(STPNR, STPN) and issubclass(STPNF, STPN)
    for recurrent, cls in ((True, STPNR), (False, STPNF)):
        x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
        assert_same(STPN(3, 5, recurrent=recurrent, seed=1)(x), cls(3, 5, seed=1)(x))


# Copies


def test_repr_builds_the_cell_again(variant: str) -> None:
    cell = make(variant, 3, 5)
    again = eval(repr(cell), vars(stpn_swift).copy())
    assert repr(again) == repr(cell)
    assert type(again) is type(cell) and again.config == cell.config and again.dtype == cell.dtype


def test_repr_names_what_is_not_the_default() -> None:
    assert repr(STPNR(3, 5)) == "STPNR(input_size=3, hidden_size=5, dtype='float32')"
    cell = STPN(3, 5, recurrent=False, normalize=None, clamp=0.25, dtype=np.float64)
    expected = "input_size=3, hidden_size=5, recurrent=False, normalize=None, clamp=0.25, dtype='float64'"
    assert repr(cell) == f"STPN({expected})"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
def test_copies_are_independent(copied: Any, variant: str, implementation: str) -> None:
    cell = make(variant, 4, 5, implementation=implementation)
    x = draw(np.random.default_rng(0), cell, 3, 6)["x"]
    y, _ = cell(x)
    other = copied(cell)
    assert type(other) is type(cell)
    assert other.config == cell.config and other.implementation == cell.implementation
    assert_same(other(x)[0], y)
    for array in other.params.values():
        array[...] = 0.25
    assert_same(cell(x)[0], y)
    assert not np.array_equal(other(x)[0], y)
    with pytest.raises(ValueError, match="tape: expected one that forward of this cell returned"):
        other.backward(cell.forward(x)[2], None)
