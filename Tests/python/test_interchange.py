"""Arrays of other frameworks as inputs, and parameters on their way from each framework to each other."""

import re
from typing import Any

import numpy as np
import pytest
from arrays import assert_same, draw
from stpn_swift import cell_from_config
from variants import make

B, T, I, H = 3, 5, 4, 3  # noqa: E741


class OnDevice:
    """What a tensor on another device tells, or who tells nonsense."""

    def __init__(self, device: Any = (2, 0)) -> None:
        self.device = device

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **_: Any) -> Any:
        raise AssertionError("the memory was asked for")


def test_tensors_of_pytorch_are_inputs(variant: str) -> None:
    torch = pytest.importorskip("torch")
    cell = make(variant, I, H)
    data = draw(np.random.default_rng(0), cell, B, T)
    tensors: Any = {
        name: {key: torch.from_numpy(array) for key, array in value.items()}
        if isinstance(value, dict)
        else torch.from_numpy(value)
        for name, value in data.items()
    }

    def all_of(data: Any) -> Any:
        y, final, tape = cell.forward(data["x"], data["state"], data["resets"])
        return y, final, tuple(cell.backward(tape, data["grad_y"], data["grad_state"]))

    expected = all_of(data)
    assert_same(all_of(tensors), expected)
    tensors["x"] = tensors["x"].mT.contiguous().mT
    assert_same(all_of(tensors), expected)


def test_a_tensor_is_a_state_in_place() -> None:
    """No copy is made: the tensor itself is written to."""
    torch = pytest.importorskip("torch")
    if not np.from_dlpack(torch.zeros(1)).flags.writeable:
        pytest.skip("this NumPy or this PyTorch has DLPack for reading alone")
    cell = make("stpnr", I, H, dtype="float32")
    expected = cell.initial_state(B)
    tensors: Any = {name: torch.from_numpy(array.copy()) for name, array in expected.items()}
    x_t = np.ones((B, I), np.float32)
    y = torch.zeros(B, H)
    cell.step(torch.from_numpy(x_t), tensors, out=y)
    assert_same(y.numpy(), cell.step(x_t, expected))
    assert_same({name: tensor.numpy() for name, tensor in tensors.items()}, expected)


def test_arrays_of_jax_are_inputs() -> None:
    jnp = pytest.importorskip("jax.numpy")
    cell = make("stpnr", I, H, dtype="float32")
    x = draw(np.random.default_rng(1), cell, B, T)["x"]
    expected = cell(x)
    cell.params = {name: jnp.asarray(array) for name, array in cell.params.items()}
    assert_same(cell(jnp.asarray(x)), expected)


def test_a_negative_view_is_refused() -> None:
    """PyTorch exports its memory, with the signs that it does not have."""
    torch = pytest.importorskip("torch")
    x = torch.ones(B, T, I, dtype=torch.complex64).conj().imag
    with pytest.raises(ValueError, match=r"^x: .* a negative view: call resolve_neg\(\)$"):
        make("stpnr", I, H, dtype="float32")(x)
    jax_key = pytest.importorskip("jax").random
    jax = pytest.importorskip("stpn_swift.jax")
    with pytest.raises(ValueError, match=r"^x: .* a negative view: call resolve_neg\(\)$"):
        jax.STPNR(I, H, key=jax_key.key(0), dtype="float32")(x)


@pytest.mark.parametrize("device", [None, 1, [1, 0], (1,), ("cpu", 0), (2**40, 0)])
def test_a_device_is_two_integers(device: Any) -> None:
    message = f"x: expected an array whose __dlpack_device__() is two integers, got {device!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        make("stpnr", I, H)(OnDevice(device))  # type: ignore[call-overload]


def test_tensors_that_cannot_be_read() -> None:
    torch = pytest.importorskip("torch")
    cell = make("stpnr", I, H, dtype="float32")
    x = torch.zeros(B, T, I)
    cases: list[tuple[Any, type[Exception], str]] = [
        (OnDevice(), ValueError, "x: expected an array on the CPU, got one on DLPack's device type 2"),
        (x.double(), TypeError, "x: expected float32, got float64"),
        (x.bfloat16(), TypeError, "x: expected an array of float32, got one that cannot be read"),
        (x.to("meta"), TypeError, "x: expected an array of float32, got one that cannot be read"),
        (x.clone().requires_grad_(), TypeError, r"x: expected .* tensor\.detach\(\)"),
        (x[0], ValueError, r"x: expected shape \(B, T, 4\), got \(5, 4\)"),
    ]
    for wrong, error, message in cases:
        with pytest.raises(error, match=message):
            cell(wrong)
    with pytest.raises(ValueError, match=r"params\['bias'\]: expected an array on the CPU"):
        cell.params["bias"] = OnDevice()  # type: ignore[assignment]
        cell(np.zeros((B, T, I), np.float32))


@pytest.mark.parametrize("target", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("source", ["numpy", "torch", "jax"])
def test_parameters_move(source: str, target: str, variant: str) -> None:
    """As docs/jax.md says; the cells compute the same, up to what only an order of sums may change."""
    original = make(variant, I, H, dtype="float32")
    x = draw(np.random.default_rng(2), original, B, T)["x"]

    def cell_of(framework: str) -> Any:
        if framework == "numpy":
            return cell_from_config(original.config)
        if framework == "torch":
            return pytest.importorskip("stpn_swift.torch").cell_from_config(original.config)
        jax = pytest.importorskip("jax")
        module = pytest.importorskip("stpn_swift.jax")
        return module.cell_from_config(original.config, key=jax.random.key(0), backend="callback")

    def take(framework: str, cell: Any, params: Any) -> Any:
        if framework == "numpy":
            cell.params.update({name: np.from_dlpack(array).copy() for name, array in params.items()})
        if framework == "torch":
            torch = pytest.importorskip("torch")
            cell.load_state_dict({name: torch.from_dlpack(array) for name, array in params.items()})
        return cell.with_params(params) if framework == "jax" else cell

    def give(framework: str, cell: Any) -> Any:
        return cell.state_dict() if framework == "torch" else cell.params

    first = take(source, cell_of(source), original.params)
    second = take(target, cell_of(target), give(source, first))
    moved = give(target, second)
    assert_same({name: np.from_dlpack(moved[name]) for name in original.params}, original.params)
    y = second(x if target != "torch" else pytest.importorskip("torch").from_numpy(x))[0]
    assert_same(np.asarray(y.detach() if target == "torch" else y), original(x)[0])
