"""Degenerate numbers: zeros, ones, saturation, and values whose squares leave the range of float32.

Every implementation does with them what the plain one does, and that follows from the equations: a row of
norm 0 reads 0, nothing divides by 0, and what the equations keep finite is finite. Only float32 overflows, in
products of 1e30, to infinities and NaN: in y and the states at the same places, in energies, whose factors
may be multiplied in another order, not always. Its gradients mean nothing then.
"""

from collections.abc import Callable
from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift
from arrays import assert_same, draw, results
from numpy.typing import NDArray
from stpn_swift import Cell, cell_from_config
from variants import CONFIGS, make

Array = NDArray[Any]
B, T, I, H = 3, 5, 4, 5  # noqa: E741

# Some of the cases change by twice the usual tolerance where an input is one rounding off.
SLACK = 10

WEIGHTS = ("weight", "i2h.weight", "w", "alpha", "h2DA.weight")
LAMBDAS = ("weight_lambda", "bias_lambda")
GAMMAS = ("weight_gamma", "bias_gamma", "eta", "etaet", "h2DA.weight", "h2DA.bias")


def fill(arrays: dict[str, Array], names: tuple[str, ...], value: float) -> None:
    for name in names:
        if name in arrays:
            arrays[name][...] = value


def zero_rows(cell: Cell, data: dict[str, Any]) -> None:
    for name in WEIGHTS:
        if name in cell.params:
            cell.params[name][0] = 0
    data["state"]["F"][:, 0] = 0


def zero_matrices(cell: Cell, data: dict[str, Any]) -> None:
    fill(cell.params, WEIGHTS, 0)
    fill(data["state"], tuple(data["state"]), 0)


def set_lambda(cell: Cell, value: float) -> None:
    """Λ to 0 or 1, also where it is a sigmoid."""
    fill(cell.params, LAMBDAS, value)
    fill(cell.params, ("raw_lambda",), 2000 * value - 1000 if cell.config.get("forced") else value)


def no_learning(cell: Cell, data: dict[str, Any]) -> None:
    """Γ, η, or what the modulator and the trace are made of, to 0."""
    fill(cell.params, GAMMAS, 0)
    fill(cell.params, ("raw_gamma",), -1000 if cell.config.get("forced") else 0)


def times(factor: float, *what: str) -> Callable[[Cell, dict[str, Any]], None]:
    def scale(cell: Cell, data: dict[str, Any]) -> None:
        arrays = {"x": data["x"], "grad_y": data["grad_y"], **data["state"], **cell.params}
        for name in what:
            if name in arrays:
                arrays[name] *= np.asarray(factor, cell.dtype)

    return scale


ORDINARY: dict[str, Callable[[Cell, dict[str, Any]], None]] = {
    "zero rows": zero_rows,
    "zero matrices": zero_matrices,
    "zero input": times(0, "x", "h"),
    "no learning": no_learning,
    "no forgetting": lambda cell, data: set_lambda(cell, 1),
    "no memory": lambda cell, data: set_lambda(cell, 0),
    "saturated": times(1e4, "x"),
    "tiny inputs": times(1e-30, "x", "h"),
    "tiny weights": times(1e-30, *WEIGHTS),
    "tiny F": times(1e-30, "F", "fb", "E"),
    "tiny weights and F": times(1e-30, *WEIGHTS, "F"),
    "tiny gradients": times(1e-30, "grad_y"),
}
HUGE: dict[str, Callable[[Cell, dict[str, Any]], None]] = {
    "huge inputs": times(1e30, "x"),
    "huge weights": times(1e30, *WEIGHTS),
    "huge F": times(1e30, "F"),
    "huge weights and inputs": times(1e30, *WEIGHTS, "x"),
    "huge gradients": times(1e30, "grad_y"),
}


def problem(variant: str, dtype: str, sizes: tuple[int, int] = (I, H)) -> tuple[Cell, dict[str, Any]]:
    cell = make(variant, *sizes, dtype=dtype)
    return cell, draw(np.random.default_rng(3), cell, B, T)


def both(cell: Cell, data: dict[str, Any], implementation: str) -> list[tuple[str, Array, Array]]:
    """(name, what an implementation computes, what the plain one does) of all results."""
    cell.implementation = "plain"
    expected = results(cell, **data)
    cell.implementation = implementation
    actual = results(cell, **data)
    return [(name, actual[name], array) for name, array in expected.items()]


def assert_finite_and_close(name: str, actual: Array, expected: Array) -> None:
    assert np.isfinite(expected).all(), name
    golden.assert_close(actual, expected, name, SLACK)


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_cases_are_finite(case: str, variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    ORDINARY[case](cell, data)
    for row in both(cell, data, implementation):
        assert_finite_and_close(*row)


@pytest.mark.parametrize("case", HUGE)
def test_huge_values(case: str, variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    HUGE[case](cell, data)
    with np.errstate(invalid="ignore"):
        for name, actual, expected in both(cell, data, implementation):
            if dtype == "float32" and name.startswith("grad") and case != "huge gradients":
                continue
            # Where a product overflows, fused multiply-add and the order of a sum decide between inf and NaN.
            finite = np.isfinite(expected)
            if name.startswith(("grad", "energy", "step energy")):
                finite &= np.isfinite(actual)
            if dtype == "float64" and not name.startswith("grad"):
                assert finite.all(), name
            golden.assert_close(actual[finite], expected[finite], name, SLACK)


def test_nan_flows_as_in_the_plain_one(variant: str, dtype: str, implementation: str) -> None:
    """From one number of each array in turn to y, the states and the energy."""
    cell, data = problem(variant, dtype)
    arrays = {"x": data["x"], **data["state"], **cell.params}
    for array in arrays.values():
        place = np.unravel_index(array.size // 2, array.shape)
        before = array[place]
        array[place] = np.nan
        for name, actual, expected in both(cell, data, implementation):
            if not name.startswith("grad"):
                np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected), name)
                finite = np.isfinite(expected)
                golden.assert_close(actual[finite], expected[finite], name, SLACK)
        array[place] = before


def test_a_decay_whose_powers_overflow_leaves_zeros_alone(implementation: str) -> None:
    cell = stpn_swift.FastWeights(2, 40, dtype="float32", seed=0)
    cell.params["weight_lambda"][...] = 5
    cell.params["weight_gamma"][...] = 0
    x = np.ones((1, 100, 2), "float32")
    cell.implementation = "plain"
    expected, state = cell(x)
    cell.implementation = implementation
    y, final = cell(x)
    golden.assert_close(y, expected, "y", SLACK)
    assert_same(final["F"], state["F"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_reset_ends_nan_and_infinity(value: float, variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    x, resets = data["x"], np.zeros((B, T), bool)
    resets[:, 3] = True
    expected = cell(x[:, 3:], energy=True)
    x[:, 2] = value
    y, final, energy = cell(x, data["state"], resets, energy=True)
    assert_same((y[:, 3:], final, energy[:, 3:]), expected)


@pytest.mark.parametrize("sizes", [(1, 1), (1, 6), (6, 1)], ids=["I = H = 1", "I = 1", "H = 1"])
def test_smallest_sizes(sizes: tuple[int, int], variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype, sizes)
    for name in GAMMAS:
        times(0.1, name)(cell, data)  # a norm of one synapse is small where F is as large as W
    for row in both(cell, data, implementation):
        assert_finite_and_close(*row)


# What follows from the equations


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
    "identity": lambda a: a,
}
CONFIG = {name: make(name, I, H).config for name in CONFIGS}
STPN = [name for name in CONFIGS if CONFIG[name]["cell"] == "stpn"]
WITHOUT_LAYER_NORM = [name for name in STPN if not CONFIG[name]["layer_norm"]]
NORMALIZED = [name for name in WITHOUT_LAYER_NORM if CONFIG[name]["normalize"]]
WITH_F_UNDIVIDED = [name for name in CONFIGS if CONFIG[name].get("normalize") not in ("pre", "post")]


def unread(cell: Cell) -> Array:
    """(H), the activations of neurons that read 0."""
    bias = cell.params.get("bias", np.zeros(cell.hidden_size, cell.dtype))
    return ACTIVATIONS[cell.config["activation"]](bias)


@pytest.mark.parametrize("variant", NORMALIZED)
@pytest.mark.parametrize("case", ["zero matrices", "tiny weights and F"])
def test_a_row_of_norm_0_reads_0(case: str, variant: str, dtype: str, implementation: str) -> None:
    """Or of one that is small beside the 1e-16 that every norm has, as float64 knows it."""
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    ORDINARY[case](cell, data)
    fill(data["state"], ("fb",), 0)
    y, _, energy = cell(data["x"], data["state"], energy=True)
    golden.assert_close(y[:, 0], np.broadcast_to(unread(cell), (B, H)))
    assert np.all(energy[:, 0] <= 1e-12)
    assert energy[:, 0].any() == (case != "zero matrices" and dtype == "float64")


@pytest.mark.parametrize("variant", WITHOUT_LAYER_NORM)
def test_one_row_of_zeros_reads_0(variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    zero_rows(cell, data)
    fill(data["state"], ("fb",), 0)
    y, _, energy = cell(data["x"], data["state"], energy=True)
    golden.assert_close(y[:, 0, 0], np.broadcast_to(unread(cell)[0], B))
    assert not energy[:, 0, 0].any() and energy[:, 0, 1:].all()


def test_without_learning_there_is_no_plasticity(variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    no_learning(cell, data)
    y, final = cell(data["x"])
    for name, array in final.items():
        assert name == "h" or not array.any(), name
    set_lambda(cell, 1)
    assert_same(cell(data["x"])[0], y)


@pytest.mark.parametrize("variant", WITH_F_UNDIVIDED)
def test_without_learning_and_forgetting_f_stays(variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    no_learning(cell, data)
    set_lambda(cell, 1)
    data["state"]["F"] *= np.asarray(0.01, dtype)  # within every clamp
    fill(data["state"], ("E",), 0)
    assert_same(cell(data["x"], data["state"])[1]["F"], data["state"]["F"])


@pytest.mark.parametrize("variant", ["stpnr", "stpnf"])
def test_without_memory_f_is_the_last_step(variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    set_lambda(cell, 0)
    y, final = cell(data["x"], data["state"])
    u = np.concatenate([data["x"][:, -1], y[:, -2]], axis=1)[:, : final["F"].shape[2]]
    golden.assert_close(final["F"], cell.params["weight_gamma"] * y[:, -1, :, None] * u[:, None, :])


@pytest.mark.parametrize("variant", STPN)
def test_clipped_to_0_nothing_is_learned(variant: str, dtype: str, implementation: str) -> None:
    config = {**CONFIGS[variant], "clamp": 0, "input_size": I, "hidden_size": H}
    cell = cell_from_config(config, dtype=dtype, seed=0)
    data = draw(np.random.default_rng(3), cell, B, T)
    rows = both(cell, data, implementation)
    for row in rows:
        assert_finite_and_close(*row)
    actual = {name: array for name, array, _ in rows}
    for name in actual:
        if name.endswith((" F", " fb", "lambda", "gamma")) and not name.startswith("grad state"):
            assert not actual[name].any(), name


@pytest.mark.parametrize("variant", ["stpnr", "stpnr post", "stpnf", "modplast", "plastic"])
def test_saturated_neurons_pass_no_gradient(variant: str, dtype: str, implementation: str) -> None:
    cell, data = problem(variant, dtype)
    cell.implementation = implementation
    data["x"] *= np.asarray(1e6, dtype)
    arrays = results(cell, **data)
    assert np.all(np.abs(arrays["y"]) == 1)
    for name in ("bias", "i2h.bias"):
        assert not arrays.get(f"grad param {name}", np.zeros(1)).any()


@pytest.mark.parametrize("variant", NORMALIZED)
def test_a_normalized_read_is_free_of_scale(variant: str, implementation: str) -> None:
    cell, data = problem(variant, "float64")
    cell.implementation = implementation
    no_learning(cell, data)
    y = cell(data["x"])[0]
    cell.params["weight"] *= 1e30
    golden.assert_close(cell(data["x"])[0], y)


def test_a_large_input_of_columns_that_are_not_plastic(implementation: str) -> None:
    cell = stpn_swift.STPNR(2, 2, plastic="hidden", normalize=None, activation="relu", bias=False, seed=0)
    cell.params["weight"][:] = np.eye(2, 4)
    x = np.array([[[2e19, 0], [-2e19, 0], [0, 0]]], np.float32)
    cell.implementation = implementation
    y, state = cell(x)
    assert np.isfinite(y).all()
    assert not state["F"].any()


def test_neurons_that_fill_up_a_vector_learn_nothing(implementation: str) -> None:
    cell = stpn_swift.HebbFF(2, 2, forced=False, seed=0)
    cell.params["raw_lambda"][...] = 2  # would double F in each of 140 steps
    cell.params["bias"][:] = -200
    cell.implementation = implementation
    y, _, tape = cell.forward(np.ones((1, 140, 2), np.float32))
    grads = cell.backward(tape, np.ones_like(y))
    assert np.isfinite(grads.x).all()
