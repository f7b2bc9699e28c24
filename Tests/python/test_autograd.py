"""The cells in plain NumPy code that HIPS autograd differentiates."""

from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift
from arrays import assert_same, draw
from variants import make

autograd = pytest.importorskip("autograd")
from autograd import numpy as anp  # noqa: E402
from autograd.test_util import check_grads  # noqa: E402
from stpn_swift.autograd import sequence  # noqa: E402

B, T, I, H = 3, 5, 4, 3  # noqa: E741


def loss(cell: stpn_swift.Cell, params: Any, x: Any, state: Any = None, resets: Any = None) -> Any:
    """Of all outputs."""
    y, final = sequence(cell, params, x, state, resets)
    return anp.sum(anp.sin(y)) + sum(anp.sum(anp.cos(array)) for array in final.values())


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden(name: str, dtype: str) -> None:
    case = golden.load(name, dtype)
    cell = stpn_swift.cell_from_config(case.config, dtype=dtype)

    def weighted(params: Any, x: Any, state: Any) -> Any:
        y, final = sequence(cell, params, x, state or None, case.resets)
        terms = (anp.sum(final[key] * gradient) for key, gradient in case.grad_final.items())
        return anp.sum(y * case.grad_y) + sum(terms)

    params, x, state = autograd.grad(weighted, (0, 1, 2))(case.params, case.x, case.state)
    golden.assert_close(x, case.grad_x, "x")
    golden.assert_all_close(params, case.grad_params, "params")
    golden.assert_all_close(state, case.grad_state, "state")


def test_gradients_are_slopes(variant: str) -> None:
    """Of 8 neurons: with few, a layer norm is so curved that differences over 1e-6 are no slopes."""
    cell = make(variant, I, 8)
    data = draw(np.random.default_rng(0), cell, B, T)
    np.random.seed(0)  # autograd draws its directions there
    arguments = cell.params, data["x"], data["state"]
    check_grads(
        lambda params, x, state: loss(cell, params, x, state, data["resets"]), modes=["rev"], order=1
    )(*arguments)


def test_outputs_and_gradients_have_the_bits_of_the_cell(variant: str, dtype: str) -> None:
    cell = make(variant, I, H, dtype=dtype)
    data = draw(np.random.default_rng(1), cell, B, T)
    inputs = data["x"], data["state"], data["resets"]
    y, final, tape = cell.forward(*inputs)
    assert_same(sequence(cell, cell.params, *inputs), (y, final))

    def weighted(params: Any) -> Any:
        y, _ = sequence(cell, params, *inputs)
        return anp.sum(y * data["grad_y"])

    zeros = {name: np.zeros_like(array) for name, array in final.items()}
    expected = cell.backward(tape, data["grad_y"], zeros).params
    assert_same(autograd.grad(weighted)(cell.params), expected)


def test_a_call_is_differentiated_many_times() -> None:
    cell = make("stpnr", I, H)
    x = draw(np.random.default_rng(2), cell, B, T)["x"]
    jacobian = autograd.jacobian(lambda x: sequence(cell, cell.params, x)[0][:, -1])(x)
    expected = autograd.grad(lambda x: sequence(cell, cell.params, x)[0][2, -1, 1])(x)
    golden.assert_close(jacobian[2, 1], expected)


def test_parameters_may_change_before_the_way_back() -> None:
    cell = make("stpnr", I, H)
    x = draw(np.random.default_rng(3), cell, B, T)["x"]
    params = {name: array.copy() for name, array in cell.params.items()}
    expected = autograd.grad(lambda params: loss(cell, params, x))(cell.params)

    def disturbed(traced: Any) -> Any:
        value = loss(cell, traced, x)
        for array in params.values():
            array[...] = np.nan
        return value

    assert_same(autograd.grad(disturbed)(params), expected)


def test_second_derivatives_are_refused() -> None:
    cell = make("stpnr", I, H)
    x = draw(np.random.default_rng(4), cell, B, T)["x"]

    def slope(x: Any) -> Any:
        return anp.sum(autograd.grad(lambda params: loss(cell, params, x))(cell.params)["bias"])

    with pytest.raises(TypeError, match=r"differentiated again.*stpn_swift\.jax"):
        autograd.grad(slope)(x)
    with pytest.raises(TypeError, match="differentiated again"):
        autograd.hessian(lambda x: loss(cell, cell.params, x))(x)


def test_forward_mode_is_refused() -> None:
    cell, x = make("stpnr", I, H), np.zeros((B, T, I))
    with pytest.raises(TypeError, match=r"forward-mode derivatives \(make_jvp\).*stpn_swift\.jax"):
        autograd.make_jvp(lambda x: sequence(cell, cell.params, x)[0])(x)(x)


def test_errors() -> None:
    cell = make("stpnr", I, H)
    x = np.zeros((B, T, I))
    with pytest.raises(TypeError, match="params: expected a dict of arrays, got list"):
        sequence(cell, [x], x)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"params: expected the entries .*, got \('weight',\)"):
        sequence(cell, {"weight": cell.params["weight"]}, x)
    with pytest.raises(ValueError, match=r"state: expected the entries .*, got \('h',\)"):
        sequence(cell, cell.params, x, {"h": x})
    with pytest.raises(TypeError, match="x: expected float64, got float32"):
        autograd.grad(lambda params: loss(cell, params, x.astype("float32")))(cell.params)
