"""The golden cases through NumPy and torch, in both precisions, by every implementation."""

from collections.abc import Callable
from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift


@pytest.fixture(params=golden.NAMES)
def case(request: pytest.FixtureRequest, dtype: str) -> golden.Golden:
    return golden.load(request.param, dtype)


@pytest.fixture
def cell(case: golden.Golden, dtype: str, implementation: str) -> stpn_swift.Cell:
    cell = stpn_swift.cell_from_config(case.config, dtype=dtype)
    shapes = {name: array.shape for name, array in cell.params.items()}
    assert shapes == {name: array.shape for name, array in case.params.items()}
    cell.params.update(case.params)
    cell.implementation = implementation
    return cell


def test_there_are_all_cases() -> None:
    assert len(golden.NAMES) == 92


def test_numpy(case: golden.Golden, cell: stpn_swift.Cell) -> None:
    y, final, tape, energy = cell.forward(case.x, case.state or None, case.resets, energy=True)
    golden.assert_close(y, case.y, "y")
    golden.assert_close(energy, case.energy, "energy")
    assert final.keys() == case.final.keys()
    golden.assert_all_close(final, case.final, "final")

    grads = cell.backward(tape, case.grad_y, case.grad_final)
    golden.assert_close(grads.x, case.grad_x, "grads.x")
    assert grads.params.keys() == case.grad_params.keys()
    golden.assert_all_close(grads.params, case.grad_params, "grads.params")
    golden.assert_all_close(grads.state, case.grad_state, "grads.state")


def test_numpy_inference(case: golden.Golden, cell: stpn_swift.Cell) -> None:
    y, final = cell(case.x, case.state or None, case.resets)
    golden.assert_close(y, case.y, "y")
    golden.assert_all_close(final, case.final, "final")
    golden.assert_close(cell.energy(case.x, case.state or None, case.resets), case.energy, "energy")


def test_numpy_steps(case: golden.Golden, cell: stpn_swift.Cell) -> None:
    B, T, _ = case.x.shape
    state = {key: array.copy() for key, array in case.state.items()} or cell.initial_state(B)
    y, energy = np.empty(case.y.shape, cell.dtype), np.empty((T, *case.y[:, 0].shape), cell.dtype)
    for t in range(T):
        if case.resets is not None:
            for array in state.values():
                array[case.resets[:, t]] = 0
        y[:, t] = cell.step(case.x[:, t], state, energy=energy[t])
    golden.assert_close(y, case.y, "y")
    golden.assert_close(energy.swapaxes(0, 1), case.energy, "energy")
    golden.assert_all_close(state, case.final, "state")


COMPILED = [
    "fast_weights_S2_plain_tanh",
    "hebbff",
    "modulated_modul_addpw2_tanh",
    "stpnf_15_post",
    "stpnr_56_True_True_pre",
]


def test_torch(case: golden.Golden, dtype: str, implementation: str) -> None:
    check_torch(case, dtype, implementation, lambda cell: cell)


@pytest.mark.parametrize("name", COMPILED)
def test_torch_compiled(name: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    torch._dynamo.reset()
    check_torch(
        golden.load(name, dtype),
        dtype,
        None,
        lambda cell: torch.compile(cell, backend="aot_eager", fullgraph=True),
    )


def check_torch(
    case: golden.Golden, dtype: str, implementation: str | None, made_of: Callable[[Any], Any]
) -> None:
    torch = pytest.importorskip("torch")
    from stpn_swift.torch import cell_from_config

    cell = cell_from_config(case.config, dtype=getattr(torch, dtype))
    cell.load_state_dict({key: torch.from_numpy(array) for key, array in case.params.items()})
    cell.implementation = implementation
    x = torch.from_numpy(case.x).requires_grad_()
    state = {key: torch.from_numpy(array).requires_grad_() for key, array in case.state.items()}
    resets = None if case.resets is None else torch.from_numpy(case.resets)

    y, final, energy = made_of(cell)(x, state or None, resets, energy=True)
    golden.assert_close(y.detach().numpy(), case.y, "y")
    golden.assert_close(energy.numpy(), case.energy, "energy")
    golden.assert_all_close({key: t.detach().numpy() for key, t in final.items()}, case.final, "final")

    loss = (y * torch.from_numpy(case.grad_y)).sum()
    for key, array in case.grad_final.items():
        loss = loss + (final[key] * torch.from_numpy(array)).sum()
    loss.backward()
    gradients = {"x": x, **dict(cell.named_parameters()), **state}
    expected = {"x": case.grad_x, **case.grad_params, **case.grad_state}
    assert gradients.keys() == expected.keys()
    for key, tensor in gradients.items():
        assert tensor.grad is not None
        golden.assert_close(tensor.grad.numpy(), expected[key], f"grad of {key}")
