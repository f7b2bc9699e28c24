"""The modules of stpn_swift.torch; their numbers are also compared in test_golden.py."""

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stpn_swift
import torch
from stpn_swift.cells import Normalize
from stpn_swift.torch import STPNR
from torch import Tensor

B, T, I, H, K = 3, 4, 2, 5, 7  # noqa: E741


def make(seed: int = 0, **options: Any) -> STPNR:
    torch.manual_seed(seed)
    return STPNR(I, H, **{"dtype": torch.float64} | options)


def draw(*shape: int, gradient: bool = False) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=gradient)


def draw_state(gradient: bool = False) -> dict[str, Tensor]:
    return {"h": draw(B, H, gradient=gradient), "F": draw(B, H, K, gradient=gradient)}


OPTIONS: list[tuple[Normalize, float | None, bool]] = [
    (None, None, True),
    (None, 0.2, False),
    ("output", None, True),
    ("output", 0.2, True),
    ("pre", None, True),
    ("pre", 0.2, False),
    ("post", None, False),
    ("post", 0.2, True),
]


@pytest.mark.parametrize(("normalize", "clamp", "bias"), OPTIONS)
def test_gradcheck(normalize: Normalize, clamp: float | None, bias: bool, implementation: str) -> None:
    cell = make(normalize=normalize, clamp=clamp, bias=bias)
    cell.implementation = implementation
    names = [name for name, _ in cell.named_parameters()]
    resets = torch.rand(B, T) < 0.2

    def call(x: Tensor, h: Tensor, F: Tensor, *params: Tensor) -> tuple[Tensor, ...]:
        arguments = (x, {"h": h, "F": F}, resets)
        y, final = torch.func.functional_call(cell, dict(zip(names, params, strict=True)), arguments)
        return (y, *final.values())

    params = [parameter.detach().requires_grad_() for parameter in cell.parameters()]
    inputs = (draw(B, T, I, gradient=True), *draw_state(gradient=True).values(), *params)
    assert torch.autograd.gradcheck(call, inputs)


def test_the_numbers_are_those_of_numpy() -> None:
    cell = make()
    other = stpn_swift.STPNR(I, H, dtype="float64")
    other.params = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    x, state, resets = draw(B, T, I), draw_state(), torch.rand(B, T) < 0.3
    y, final = cell(x, state, resets)
    expected_y, expected_final = other(x.numpy(), {n: t.numpy() for n, t in state.items()}, resets.numpy())
    np.testing.assert_array_equal(y.detach().numpy(), expected_y)
    for name, array in expected_final.items():
        np.testing.assert_array_equal(final[name].detach().numpy(), array)


def test_parameters_have_the_names_and_values_of_the_cell() -> None:
    names = [name for name, _ in make().named_parameters()]
    assert names == list(stpn_swift.STPNR(I, H).params)
    assert [name for name, _ in make(bias=False).named_parameters()] == [n for n in names if n != "bias"]
    assert make().config == stpn_swift.STPNR(I, H).config
    one, same, other = make(0), make(0), make(1)
    assert torch.equal(one.get_parameter("weight"), same.get_parameter("weight"))
    assert not torch.equal(one.get_parameter("weight"), other.get_parameter("weight"))


def test_the_dtype_is_torchs_default_and_can_be_changed() -> None:
    cell = STPNR(I, H)
    assert {parameter.dtype for parameter in cell.parameters()} == {torch.float32}
    x = torch.randn(B, T, I)
    assert cell(x)[0].dtype == cell.initial_state(B)["F"].dtype == torch.float32
    cell.double()
    assert cell(x.double())[0].dtype == cell.initial_state(B)["F"].dtype == torch.float64
    torch.set_default_dtype(torch.float64)
    try:
        assert STPNR(I, H).get_parameter("weight").dtype == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_repr_shows_the_options() -> None:
    shown = repr(make(clamp=0.5))
    assert shown == "STPNR(input_size=2, hidden_size=5, normalize='pre', clamp=0.5, bias=True)"


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
def test_copies_are_independent(copied: Callable[[STPNR], STPNR]) -> None:
    cell, x = make(), draw(B, T, I)
    other = copied(cell)
    assert torch.equal(other(x)[0], cell(x)[0])
    with torch.no_grad():
        other.get_parameter("weight").zero_()
    assert not torch.equal(other(x)[0], cell(x)[0])


def test_gradients_are_made_only_where_they_are_needed() -> None:
    cell, x, state = make(), draw(B, T, I), draw_state()
    for name, parameter in cell.named_parameters():
        parameter.requires_grad_(name == "weight")
    y, final = cell(x, state)
    torch.autograd.backward(y.sum() + final["F"].sum())
    assert {name for name, parameter in cell.named_parameters() if parameter.grad is not None} == {"weight"}
    assert x.grad is None

    full = make()
    y, final = full(x.requires_grad_(), {name: tensor.requires_grad_() for name, tensor in state.items()})
    torch.autograd.backward(y.sum() + final["F"].sum())
    actual, expected = full.get_parameter("weight").grad, cell.get_parameter("weight").grad
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def test_nothing_is_kept_without_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a tape was made")

    cell, x = make(), draw(B, T, I)
    expected = cell(x)[0]
    assert expected.requires_grad
    monkeypatch.setattr(stpn_swift.torch._Sequence, "forward", refuse)
    with torch.no_grad():
        assert torch.equal(cell(x)[0], expected)
    with torch.inference_mode():
        assert torch.equal(cell(x)[0], expected)
    for parameter in cell.parameters():
        parameter.requires_grad_(False)
    assert not cell(x)[0].requires_grad
    with pytest.raises(AssertionError, match="a tape was made"):
        cell(x.requires_grad_())


def test_gradients_of_any_layout() -> None:
    cell, x = make(), draw(B, T, I, gradient=True)

    def gradient(grad_y: Tensor) -> Tensor:
        return torch.autograd.grad(cell(x)[0], x, grad_y)[0]

    grad_y = draw(B, T, H)
    assert torch.equal(gradient(grad_y.transpose(0, 2).contiguous().transpose(0, 2)), gradient(grad_y))
    assert torch.equal(
        gradient(torch.ones(()).double().expand(B, T, H)), gradient(torch.ones(B, T, H).double())
    )
    wide = draw(B, T, 2 * I)
    assert torch.equal(cell(wide[..., ::2])[0], cell(wide[..., ::2].contiguous())[0])


def test_gradients_are_those_of_the_forward_pass_as_it_was() -> None:
    def gradients(spoil: bool) -> list[Tensor]:
        cell = make()
        torch.manual_seed(1)
        x, state = draw(B, T, I), draw_state()
        y, final = cell(x, state)
        if spoil:
            with torch.no_grad():
                for tensor in (x, *state.values(), *cell.parameters()):
                    tensor.fill_(torch.nan)
        return list(torch.autograd.grad(y.sum() + final["h"].sum(), list(cell.parameters())))

    for actual, expected in zip(gradients(True), gradients(False), strict=True):
        assert torch.equal(actual, expected)


def test_backward_twice_needs_the_graph() -> None:
    cell, x = make(), draw(B, T, I, gradient=True)
    loss = cell(x)[0].sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, second)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(loss, x)


@pytest.mark.parametrize("power", [1, 2])
def test_second_derivatives_are_refused(power: int) -> None:
    cell, x = make(), draw(B, T, I, gradient=True)
    loss = cell(x)[0].pow(power).sum()
    (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
    assert torch.equal(gradient, torch.autograd.grad(loss, x)[0])
    penalty = gradient.pow(2).sum() + x.pow(2).sum()
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.grad(penalty, x, retain_graph=True)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        torch.autograd.backward(penalty)


def test_steps_make_the_sequence() -> None:
    cell, x, state = make(), draw(B, T, I), draw_state()
    with torch.no_grad():
        y, final = cell(x, state)
        out = torch.empty(B, H, dtype=torch.float64)
        steps = [cell.step(x[:, 0], state)]
        steps += [cell.step(x[:, t], state, out=out).clone() for t in range(1, T)]
    torch.testing.assert_close(torch.stack(steps, 1), y, rtol=0, atol=1e-12)
    for name, tensor in final.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-12)


def test_autograd_notices_that_a_step_changed_the_state() -> None:
    cell, x_t, state = make(), draw(B, I), draw_state()
    factor = draw(B, H, gradient=True)
    product = factor * state["h"]
    cell.step(x_t, state)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(product.sum(), factor)


def test_steps_in_inference_mode() -> None:
    cell = make()
    with torch.inference_mode():
        state = cell.initial_state(B)
        assert cell.step(draw(B, I), state).isfinite().all()


def test_compiled_modules_give_the_same() -> None:
    cell, x = make(), draw(B, T, I)
    compiled = torch.compile(cell, backend="eager")
    assert torch.equal(compiled(x)[0], cell(x)[0])


REFUSED: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (TypeError, "x: expected a Tensor, got ndarray", lambda: make()(np.zeros((B, T, I)))),
    (TypeError, r"x: expected torch.float64, got torch.float32", lambda: make()(torch.zeros(B, T, I))),
    (
        TypeError,
        r"x: expected torch.float64, got torch.bfloat16",
        lambda: make()(torch.zeros(B, T, I).bfloat16()),
    ),
    (
        ValueError,
        r"x: expected a dense tensor on the CPU, got .* on meta",
        lambda: make()(draw(B, T, I).to("meta")),
    ),
    (
        ValueError,
        r"x: expected a dense tensor on the CPU, got .*sparse",
        lambda: make()(draw(B, T, I).to_sparse()),
    ),
    (ValueError, r"params\['weight'\]: .* on meta", lambda: make().to("meta")(draw(B, T, I))),
    (ValueError, r"x: expected shape \(B, T, 2\), got \(3, 4\)", lambda: make()(draw(B, T))),
    (TypeError, "state: expected a dict of tensors, got Tensor", lambda: make()(draw(B, T, I), draw(B, H))),
    (
        ValueError,
        r"state: expected the entries \('h', 'F'\)",
        lambda: make()(draw(B, T, I), {"h": draw(B, H)}),
    ),
    (ValueError, r"state: expected the entries \('h', 'F'\)", lambda: make()(draw(B, T, I), {})),
    (
        ValueError,
        r"state\['h'\]: expected shape",
        lambda: make()(draw(B, T, I), draw_state() | {"h": draw(B, K)}),
    ),
    (
        TypeError,
        r"state\['h'\]: expected an array",
        lambda: make()(draw(B, T, I), draw_state() | {"h": None}),
    ),
    (TypeError, "resets: expected torch.bool", lambda: make()(draw(B, T, I), None, draw(B, T))),
    (
        TypeError,
        "parameters: expected torch.float32 or torch.float64, got",
        lambda: make().half()(draw(B, T, I)),
    ),
    (
        ValueError,
        'dtype: expected one of "float32", "float64", got "float16"',
        lambda: make(dtype=torch.float16),
    ),
    (ValueError, "hidden_size: expected 1 or more, got -1", lambda: STPNR(I, -1)),
    (ValueError, "batch: expected 0 or more, got -1", lambda: make().initial_state(-1)),
    (
        ValueError,
        "x_t: expected a tensor that needs no",
        lambda: make().step(draw(B, I, gradient=True), draw_state()),
    ),
    (
        ValueError,
        r"state\['h'\]: expected a tensor that needs",
        lambda: make().step(draw(B, I), draw_state(True)),
    ),
    (TypeError, "state: expected a dict of tensors", lambda: make().step(draw(B, I), None)),  # type: ignore[arg-type]
    (ValueError, "out: expected a C-contiguous", lambda: make().step(draw(B, I), draw_state(), draw(H, B).T)),
    (ValueError, "overlaps state", lambda: (s := draw_state()) and make().step(draw(B, I), s, s["h"])),
]


@pytest.mark.parametrize(("error", "message", "call"), REFUSED, ids=[row[1] for row in REFUSED])
def test_bad_input_is_refused(error: type[Exception], message: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=message):
        call()


def test_numpy_users_need_no_torch() -> None:
    program = "import sys, stpn_swift; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
