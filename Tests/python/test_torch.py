"""The modules of stpn_swift.torch; their numbers are also compared in test_golden.py."""

import copy
import inspect
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import stpn_swift
import variants

pytest.importorskip("torch")
import torch
from stpn_swift.torch import (
    STPN,
    STPNF,
    STPNR,
    Cell,
    FastWeights,
    HebbFF,
    Modulated,
    cell_from_config,
)
from stpn_swift.torch.module import Backend
from torch import Tensor
from torch_cells import H, I, draw, draw_state_of, make_variant

B, T, K = 3, 4, I + H


def make(seed: int = 0, **options: Any) -> STPNR:
    torch.manual_seed(seed)
    return STPNR(I, H, **{"dtype": torch.float64} | options)


def draw_state(gradient: bool = False) -> dict[str, Tensor]:
    return {"h": draw(B, H, gradient=gradient), "F": draw(B, H, K, gradient=gradient)}


def assert_equal(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert list(actual) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(actual[name], tensor), name


def test_gradcheck(variant: str, implementation: str) -> None:
    check_gradients(make_variant(variant), implementation)


BESIDE_THE_VARIANTS: dict[str, dict[str, Any]] = {
    "fast weights relu": {"cell": "fast_weights", "activation": "relu"},
    "fast weights identity": {"cell": "fast_weights", "activation": "identity", "inner_steps": 2},
    "modul 0": {"cell": "modulated", "kind": "modul", "addpw": 0},
    "modul 1": {"cell": "modulated", "kind": "modul", "addpw": 1},
    "modul 3": {"cell": "modulated", "kind": "modul", "addpw": 3},
}


@pytest.mark.parametrize("name", BESIDE_THE_VARIANTS)
def test_gradcheck_of_other_options(name: str, implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(variants.CONFIGS, name, BESIDE_THE_VARIANTS[name])
    check_gradients(make_variant(name), implementation)


def check_gradients(cell: Cell, implementation: str) -> None:
    cell.implementation = implementation
    torch.manual_seed(0)
    names, params = zip(*cell.named_parameters(), strict=True)
    state = draw_state_of(cell, B, gradient=True)
    resets = torch.rand(B, T) < 0.2

    def call(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        state_before = dict(zip(state, tensors, strict=False))
        changed = dict(zip(names, tensors[len(state) :], strict=True))
        y, final = torch.func.functional_call(cell, changed, (x, state_before, resets))
        return (y, *final.values())

    inputs = draw(B, T, I, gradient=True), *state.values(), *(p.detach().requires_grad_() for p in params)
    assert torch.autograd.gradcheck(call, inputs)


def test_the_numbers_are_those_of_numpy(variant: str) -> None:
    cell, other = make_variant(variant), variants.make(variant, I, H)
    x, state, resets = draw(B, T, I), draw_state_of(cell, B), torch.rand(B, T) < 0.3
    y, final, energy = cell(x, state, resets, True)
    expected_y, expected_final, expected_energy = other(
        x.numpy(), {n: t.numpy() for n, t in state.items()}, resets.numpy(), energy=True
    )
    np.testing.assert_array_equal(y.detach().numpy(), expected_y)
    np.testing.assert_array_equal(energy.numpy(), expected_energy)
    assert final.keys() == expected_final.keys()
    for name, array in expected_final.items():
        np.testing.assert_array_equal(final[name].detach().numpy(), array)


def options_of(make: Callable[..., None]) -> dict[str, Any]:
    """The arguments of an __init__ by name, with their types."""
    annotations = inspect.get_annotations(make)
    (options,) = get_args(annotations.pop("options"))
    return annotations | get_type_hints(options)


def test_every_cell_is_a_module_of_the_same_options() -> None:
    for name in stpn_swift.__all__:
        numpy_class = getattr(stpn_swift, name)
        if inspect.isclass(numpy_class) and issubclass(numpy_class, stpn_swift.Cell):
            module = getattr(stpn_swift.torch, name)
            assert issubclass(module, torch.nn.Module) and module.__doc__
            if numpy_class is not stpn_swift.Cell:
                expected, actual = map(options_of, (numpy_class.__init__, module.__init__))
                assert actual == {
                    name: expected[name] for name in expected if name not in ("seed", "dtype")
                } | {
                    "batch_first": bool,
                    "backend": Backend,
                    "device": torch.device | str | int | None,
                    "dtype": torch.dtype | None,
                }
    assert issubclass(STPNR, STPN) and issubclass(STPNF, STPN)


def test_modules_are_made_of_configs(variant: str) -> None:
    config = variants.CONFIGS[variant] | {"input_size": I, "hidden_size": H}
    cell, other = cell_from_config(config), stpn_swift.cell_from_config(config)
    assert type(cell).__name__ == type(other).__name__
    assert cell.config == other.config
    assert cell_from_config(cell.config).config == cell.config


def test_parameters_have_the_names_and_shapes_of_the_cell(variant: str) -> None:
    config = variants.CONFIGS[variant] | {"input_size": I, "hidden_size": H}
    expected = stpn_swift.cell_from_config(config).params
    cell = cell_from_config(config)
    assert {name: tuple(p.shape) for name, p in cell.named_parameters()} == {
        name: array.shape for name, array in expected.items()
    }
    assert cell.state_dict().keys() == expected.keys()
    for name, parameter in cell.named_parameters():
        assert cell.get_parameter(name) is parameter


def test_dotted_names_are_attributes() -> None:
    cell: Any = Modulated(I, H)
    assert cell.i2h.weight is cell.get_parameter("i2h.weight")
    assert cell.i2h.weight.shape == (H, I)


def test_torchs_generator_decides_the_parameters() -> None:
    one, same, other = make(0), make(0), make(1)
    assert torch.equal(one.get_parameter("weight"), same.get_parameter("weight"))
    assert not torch.equal(one.get_parameter("weight"), other.get_parameter("weight"))


def test_a_state_dict_carries_all_that_was_learned(variant: str) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    file = io.BytesIO()
    torch.save(cell.state_dict(), file)
    file.seek(0)
    other = cell_from_config(cell.config, dtype=torch.float64)
    assert not torch.equal(other(x)[0], cell(x)[0])
    other.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(other.state_dict(), cell.state_dict())
    assert torch.equal(other(x)[0], cell(x)[0])


def test_energy_has_no_gradient_and_changes_none(variant: str) -> None:
    cell, x, resets = make_variant(variant), draw(B, T, I, gradient=True), torch.rand(B, T) < 0.3
    state = draw_state_of(cell, B, gradient=True)
    inputs = [x, *state.values(), *cell.parameters()]

    def gradients(y: Tensor, final: dict[str, Tensor]) -> tuple[Tensor, ...]:
        loss = y.sum() + sum((tensor.sum() for tensor in final.values()), start=torch.zeros(()))
        return torch.autograd.grad(loss, inputs)

    y, final, energy = cell(x, state, resets, energy=True)
    assert not energy.requires_grad and energy.shape == y.shape and bool((energy >= 0).all())
    for actual, expected in zip(gradients(y, final), gradients(*cell(x, state, resets)), strict=True):
        assert torch.equal(actual, expected)

    alone = cell.energy(x, state, resets)
    assert torch.equal(alone, energy) and not alone.requires_grad


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


def test_repr_shows_sizes_and_unusual_options() -> None:
    assert repr(make(clamp=0.5)) == "STPNR(input_size=2, hidden_size=5, clamp=0.5)"
    assert repr(STPNF(I, H)) == "STPNF(input_size=2, hidden_size=5)"
    assert repr(STPN(I, H, recurrent=False)) == "STPN(input_size=2, hidden_size=5, recurrent=False)"
    assert repr(HebbFF(I, H, forced=False)) == "HebbFF(input_size=2, hidden_size=5, forced=False)"
    assert "addpw=1\n  (i2h)" in repr(Modulated(I, H, addpw=1))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda cell: pickle.loads(pickle.dumps(cell))])
def test_copies_are_independent(variant: str, copied: Callable[[Cell], Cell]) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    before = cell(x)[0]
    other = copied(cell)
    assert other.config == cell.config
    assert torch.equal(other(x)[0], before)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(0.1)
    assert not torch.equal(other(x)[0], before)
    assert torch.equal(cell(x)[0], before)


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
    def refuse(*arguments: Any) -> int:
        raise AssertionError("a tape was made")

    cell, x = make(), draw(B, T, I)
    expected = cell(x)[0]
    assert expected.requires_grad
    monkeypatch.setattr(stpn_swift.torch.operators, "tape_size", refuse)
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


def test_steps_make_the_sequence(variant: str) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    state = draw_state_of(cell, B)
    with torch.no_grad():
        y, final, energy = cell(x, state, energy=True)
        out, used = draw(B, H), draw(B, H)
        first = cell.step(x[:, 0], state, energy=used)
        steps = [(first, used.clone())]
        steps += [(cell.step(x[:, t], state, out, used).clone(), used.clone()) for t in range(1, T)]
    step_y, step_energy = (torch.stack(values, 1) for values in zip(*steps, strict=True))
    torch.testing.assert_close(step_y, y, rtol=0, atol=1e-12)
    torch.testing.assert_close(step_energy, energy, rtol=0, atol=1e-12)
    for name, tensor in final.items():
        torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-12)


def test_steps_of_several_states_in_turn() -> None:
    cell, x_t = make(), draw(B, I)
    states, expected = ([draw_state() for _ in range(2)] for _ in range(2))
    for state, other in zip(states, expected, strict=True):
        other.update({name: tensor.clone() for name, tensor in state.items()})
    with torch.no_grad():
        for _ in range(3):
            for state, other in zip(states, expected, strict=True):
                y = cell.step(x_t, state)
                y_other, after = cell(x_t.unsqueeze(1), other)
                assert torch.equal(y, y_other[:, 0])
                other.update(after)
                for name, tensor in other.items():
                    torch.testing.assert_close(state[name], tensor, rtol=0, atol=1e-12)
        refused: list[dict[str, Any]] = [
            {"more": x_t},
            {"F": None},
            {"F": state["F"].numpy()},
            {"F": state["F"].float()},
            {"F": state["F"].mT.contiguous().mT},
            {"F": state["F"].to_sparse()},
        ]
        for entry in refused:
            before = {name: tensor.clone() for name, tensor in state.items()}
            with pytest.raises((TypeError, ValueError), match=r"^state"):
                cell.step(x_t, state | entry)
            assert_equal(state, before)


@pytest.mark.parametrize("written", ["h", "energy"])
def test_autograd_notices_what_a_step_wrote(written: str) -> None:
    cell, x_t, state, energy = make(), draw(B, I), draw_state(), draw(B, H)
    factor = draw(B, H, gradient=True)
    product = factor * (state | {"energy": energy})[written]
    cell.step(x_t, state, energy=energy)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(product.sum(), factor)


def test_steps_in_inference_mode() -> None:
    cell = make()
    with torch.inference_mode():
        state = cell.initial_state(B)
        assert cell.step(draw(B, I), state).isfinite().all()


@pytest.mark.parametrize("variant", ["stpnr", "hebbff", "fast weights", "modul"])
def test_compiled_modules_give_the_same(variant: str) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    compiled = torch.compile(cell, backend="eager")
    for actual, expected in zip(compiled(x, energy=True), cell(x, energy=True), strict=True):
        torch.testing.assert_close(actual, expected, rtol=0, atol=0)


def on_two_devices() -> STPNR:
    cell = make()
    cell.bias = torch.nn.Parameter(cell.get_parameter("bias").to("meta"))
    return cell


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
        r"x: expected a dense tensor on cpu, got .* on meta",
        lambda: make()(draw(B, T, I).to("meta")),
    ),
    (
        ValueError,
        r"x: expected a dense tensor on cpu, got .*sparse",
        lambda: make()(draw(B, T, I).to_sparse()),
    ),
    (
        ValueError,
        r"x: expected a dense tensor on meta, got .* on cpu",
        lambda: make().to("meta")(draw(B, T, I)),
    ),
    (
        ValueError,
        r"params\['bias'\]: expected .* on cpu, got .* on meta",
        lambda: on_two_devices()(draw(B, T, I)),
    ),
    (ValueError, r"x: expected shape \(B, T, 2\) or \(T, 2\), got \(3, 4\)", lambda: make()(draw(B, T))),
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
        r"state\['h'\]: expected a Tensor, got NoneType",
        lambda: make()(draw(B, T, I), draw_state() | {"h": None}),
    ),
    (TypeError, "resets: expected torch.bool", lambda: make()(draw(B, T, I), None, draw(B, T))),
    (TypeError, "x: expected torch.float16, got torch.float64", lambda: make().half()(draw(B, T, I))),
    (
        ValueError,
        'backend: expected "auto" or "torch" for torch.float16 on cpu, got "kernel"',
        lambda: make(backend="kernel").half()(draw(B, T, I).half()),
    ),
    (
        ValueError,
        'backend: expected "auto", "kernel" or "torch", got \'cuda\'',
        lambda: make(backend="cuda"),
    ),
    (ValueError, "hidden_size: expected 1 or more, got -1", lambda: STPNR(I, -1)),
    (TypeError, "hidden_size: expected an int, got str", lambda: HebbFF(I, "5")),  # type: ignore[arg-type]
    (TypeError, "inner_steps: expected an option of STPNF", lambda: STPNF(I, H, inner_steps=2)),  # type: ignore[call-arg]
    (TypeError, "multiple values for keyword argument 'recurrent'", lambda: STPNR(I, H, recurrent=True)),  # type: ignore[call-arg]
    (ValueError, "plastic: ", lambda: STPN(I, H, recurrent=False, plastic="hidden")),
    (ValueError, "presynaptic: ", lambda: STPNF(I, H, presynaptic="current")),
    (ValueError, "inner_steps: expected 1 to 1024, got 0", lambda: FastWeights(I, H, inner_steps=0)),
    (ValueError, "addpw: ", lambda: Modulated(I, H, addpw=4)),  # type: ignore[arg-type]
    (TypeError, "config: expected a dict, got str", lambda: cell_from_config("stpn")),  # type: ignore[arg-type]
    (
        ValueError,
        "cell: expected one of \"stpn\", .*, got 'gru'",
        lambda: cell_from_config({"cell": "gru", "input_size": I, "hidden_size": H}),
    ),
    (
        TypeError,
        "clamp: expected an option of HebbFF",
        lambda: cell_from_config({"cell": "hebbff", "input_size": I, "hidden_size": H, "clamp": 1}),
    ),
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
    (
        ValueError,
        "energy: expected a tensor that needs no gradient",
        lambda: make().step(draw(B, I), draw_state(), energy=draw(B, H, gradient=True)),
    ),
    (
        TypeError,
        "energy: expected a Tensor, got bool",
        lambda: make().step(draw(B, I), draw_state(), energy=True),  # type: ignore[arg-type]
    ),
    (
        ValueError,
        r"energy: expected shape \(3, 5\), got \(3, 7\)",
        lambda: make().step(draw(B, I), draw_state(), energy=draw(B, K)),
    ),
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
