"""The cells in PyTorch's own operations compute what the kernel does: outputs, energies and gradients."""

from typing import Any

import golden
import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from stpn_swift import cell_from_config
from test_properties import Problem, configs, differences, problems, sensitivity
from variants import CONFIGS, make

torch = pytest.importorskip("torch")
from stpn_swift.torch import plain  # noqa: E402

Arrays = dict[str, NDArray[Any]]


def leaves(arrays: Arrays) -> dict[str, Any]:
    return {name: torch.tensor(array, requires_grad=array.dtype != bool) for name, array in arrays.items()}


def results(
    config: dict[str, Any],
    params: Arrays,
    x: NDArray[Any],
    state: Arrays | None,
    resets: NDArray[Any] | None,
    grad_y: NDArray[Any] | None,
    grad_state: Arrays | None,
) -> Arrays:
    """As `arrays.results` names them, without those of a single step."""
    inputs = leaves({"x": x, **{f"param {name}": array for name, array in params.items()}})
    inputs |= leaves({f"state {name}": array for name, array in (state or {}).items()})

    def group(kind: str) -> dict[str, Any]:
        return {name.removeprefix(kind): t for name, t in inputs.items() if name.startswith(kind)}

    y, final, energy = plain.sequence(
        config,
        inputs["x"],
        group("param "),
        None if state is None else group("state "),
        None if resets is None else torch.from_numpy(resets),
        energy=True,
    )
    assert energy is not None and not energy.requires_grad
    loss = sum(p.sum() for p in inputs.values()) * 0
    if grad_y is not None:
        loss = loss + (y * torch.from_numpy(grad_y)).sum()
    for name, gradient in (grad_state or {}).items():
        loss = loss + (final[name] * torch.from_numpy(gradient)).sum()
    loss.backward()
    found = {"y": y, "energy": energy} | {f"final {name}": tensor for name, tensor in final.items()}
    found |= {f"grad {name}": tensor.grad for name, tensor in inputs.items()}
    return {name: tensor.detach().numpy() for name, tensor in found.items()}


@pytest.mark.parametrize("name", golden.NAMES)
def test_golden(name: str, dtype: str) -> None:
    case = golden.load(name, dtype)
    config = cell_from_config(case.config).config
    found = results(
        config, case.params, case.x, case.state or None, case.resets, case.grad_y, case.grad_final
    )
    expected = {"y": case.y, "energy": case.energy, "grad x": case.grad_x}
    named = {"final": case.final, "grad param": case.grad_params, "grad state": case.grad_state}
    expected |= {f"{kind} {name}": array for kind, group in named.items() for name, array in group.items()}
    assert found.keys() == expected.keys()
    golden.assert_all_close(found, expected, name)


def test_it_computes_what_the_plain_kernel_does() -> None:
    """Where the draw is not too sensitive, as between the implementations of the kernel."""
    drawn, left_out = 0, 0

    @given(problems(configs(12), batch=4, times=[*range(1, 8), 0]))
    def check(problem: Problem) -> None:
        nonlocal drawn, left_out
        kernel = problem.results("plain")
        drawn += 1
        if sensitivity(problem, kernel) > 1e-12:
            left_out += 1
            return
        found = results(problem.cell.config, problem.cell.params, **problem.call)
        errors = differences(found, {name: kernel[name] for name in found})
        assert max(errors.values()) < 1e-11, errors

    check()
    assert left_out < 0.05 * drawn, (left_out, drawn)


@pytest.mark.parametrize("kind", ["modplast", "modul", "plastic"])
@pytest.mark.parametrize("addpw", [0, 1, 2, 3])
def test_where_modulated_cells_clip(kind: str, addpw: int) -> None:
    """Hardly a draw comes so far."""
    config = {"cell": "modulated", "input_size": 3, "hidden_size": 4, "kind": kind, "addpw": addpw}
    cell = cell_from_config(config, dtype="float64", seed=0)
    random = np.random.default_rng(0)
    state = {name: random.normal(scale=3, size=a.shape) for name, a in cell.initial_state(2).items()}
    x, gradient = random.normal(size=(2, 1, 3)), {"F": random.normal(size=(2, 4, 4))}
    _, final, tape = cell.forward(x, state)
    found = results(cell.config, cell.params, x, state, None, None, gradient)
    golden.assert_close(found["final F"], final["F"])
    golden.assert_close(found["grad state F"], cell.backward(tape, None, gradient).state["F"])


@pytest.mark.parametrize(
    "variant", ["stpnr", "stpnr all at once", "stpnf", "hebbff", "fast weights", "modul"]
)
def test_second_derivatives(variant: str) -> None:
    cell = make(variant, 2, 3)
    random = np.random.default_rng(0)
    state = {name: random.normal(scale=0.3, size=a.shape) for name, a in cell.initial_state(2).items()}
    inputs = leaves({"x": random.normal(size=(2, 2, 2)), **cell.params, **state})
    n = len(cell.params)

    def run(x: Any, *tensors: Any) -> Any:
        params, state_ = (
            dict(zip(cell.params, tensors[:n], strict=True)),
            dict(zip(state, tensors[n:], strict=True)),
        )
        y, final, _ = plain.sequence(cell.config, x, params, state_)
        return y, *final.values()

    assert torch.autograd.gradgradcheck(run, tuple(inputs.values()))


def test_a_norm_of_zero_has_finite_derivatives() -> None:
    cell = make("stpnr", 2, 3)
    cell.params["weight"][...] = 0
    params = leaves(cell.params)
    y, _, _ = plain.sequence(cell.config, torch.ones(1, 3, 2, dtype=torch.float64), params)
    gradients = torch.autograd.grad(y.square().sum(), list(params.values()), create_graph=True)
    assert all(g.isfinite().all() for g in gradients)
    second = torch.autograd.grad(sum(g.sum() for g in gradients), list(params.values()), allow_unused=True)
    assert all(g is None or g.isfinite().all() for g in second)


@pytest.mark.parametrize("variant", CONFIGS)
def test_other_dtypes_and_devices(variant: str) -> None:
    """bfloat16, and a device without numbers: nothing is made on the CPU or in another dtype on the way."""
    cell = make(variant, 3, 4)
    for to in ({"dtype": torch.bfloat16}, {"device": "meta"}):
        params = {name: tensor.detach().to(**to) for name, tensor in leaves(cell.params).items()}
        x = next(iter(params.values())).new_ones(2, 5, 3)
        resets = torch.zeros(2, 5, dtype=torch.uint8, device=x.device)
        y, final, energy = plain.sequence(cell.config, x, params, None, resets, energy=True)
        assert energy is not None
        for tensor in (y, energy, *final.values()):
            assert (tensor.dtype, tensor.device) == (x.dtype, x.device)


def test_what_does_not_fit_is_refused() -> None:
    cell = make("stpnr", 3, 4)
    params = leaves(cell.params)
    x = torch.zeros(2, 5, 3, dtype=torch.float64)
    state = leaves(cell.initial_state(2))
    with pytest.raises(ValueError, match=r"x: expected shape \(B, T, 3\), got \(2, 5, 4\)"):
        plain.sequence(cell.config, torch.zeros(2, 5, 4), params)
    with pytest.raises(ValueError, match=r"resets: expected shape \(2, 5\), got \(2,\)"):
        plain.sequence(cell.config, x, params, resets=torch.zeros(2))
    with pytest.raises(ValueError, match=r"state: expected the entries \('h', 'F'\), got \('h',\)"):
        plain.sequence(cell.config, x, params, {"h": state["h"]})
    with pytest.raises(ValueError, match=r"state\['h'\]: expected shape \(2, 4\), got \(1, 4\)"):
        plain.sequence(cell.config, x, params, {**state, "h": state["h"][:1]})
