"""The golden cases through NumPy and torch, in both precisions, by every implementation."""

import golden
import numpy as np
import pytest
import stpn_swift
import stpn_swift.torch
import torch

COVERED = golden.covered()


def numpy_cell(case: golden.Golden, dtype: str, implementation: str) -> stpn_swift.STPNR:
    cell = stpn_swift.STPNR(**case.options, dtype=dtype)
    assert cell.params.keys() == case.params.keys()
    cell.params.update(case.params)
    cell.implementation = implementation
    return cell


def test_every_case_of_the_options_is_covered() -> None:
    assert len(COVERED) >= 15
    assert "stpnr_54_False_pre" in COVERED
    assert "stpnr_size_B2_T33_I15_H17" in COVERED


@pytest.mark.parametrize("name", COVERED)
def test_numpy(name: str, dtype: str, implementation: str) -> None:
    case = golden.load(name, dtype)
    cell = numpy_cell(case, dtype, implementation)
    y, final, tape = cell.forward(case.x, case.state or None, case.resets)
    golden.assert_close(y, case.y, "y")
    golden.assert_all_close(final, case.final, "final")

    grads = cell.backward(tape, case.grad_y, case.grad_final)
    golden.assert_close(grads.x, case.grad_x, "grads.x")
    golden.assert_all_close(grads.params, case.grad_params, "grads.params")
    golden.assert_all_close(grads.state, case.grad_state, "grads.state")


@pytest.mark.parametrize("name", COVERED)
def test_numpy_inference(name: str, dtype: str, implementation: str) -> None:
    case = golden.load(name, dtype)
    y, final = numpy_cell(case, dtype, implementation)(case.x, case.state or None, case.resets)
    golden.assert_close(y, case.y, "y")
    golden.assert_all_close(final, case.final, "final")


@pytest.mark.parametrize("name", COVERED)
def test_numpy_steps(name: str, dtype: str, implementation: str) -> None:
    case = golden.load(name, dtype)
    B, T, _ = case.x.shape
    cell = numpy_cell(case, dtype, implementation)
    state = {key: array.copy() for key, array in case.state.items()} or cell.initial_state(B)
    y = np.empty(case.y.shape, dtype)
    for t in range(T):
        if case.resets is not None:
            for array in state.values():
                array[case.resets[:, t]] = 0
        y[:, t] = cell.step(case.x[:, t], state)
    golden.assert_close(y, case.y, "y")
    golden.assert_all_close(state, case.final, "state")


@pytest.mark.parametrize("name", COVERED)
def test_torch(name: str, dtype: str, implementation: str) -> None:
    case = golden.load(name, dtype)
    cell = stpn_swift.torch.STPNR(**case.options, dtype=getattr(torch, dtype))
    cell.load_state_dict({key: torch.from_numpy(array) for key, array in case.params.items()})
    cell.implementation = implementation
    x = torch.from_numpy(case.x).requires_grad_()
    state = {key: torch.from_numpy(array).requires_grad_() for key, array in case.state.items()}
    resets = None if case.resets is None else torch.from_numpy(case.resets)

    y, final = cell(x, state or None, resets)
    golden.assert_close(y.detach().numpy(), case.y, "y")
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
