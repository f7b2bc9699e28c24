"""The operators of stpn_swift.torch: what torch.library, torch.compile and torch.func ask of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stpn_swift
import variants
from conftest import AVAILABLE

pytest.importorskip("torch")
import torch
from stpn_swift.torch import STPNR, Cell, operators
from stpn_swift.torch.module import Backend
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import forward_ad
from torch.func import functional_call, grad, vmap
from torch_cells import A_CELL_OF_EACH, H, I, draw, draw_state_of, each, make_variant

B, T, N = 3, 4, 3

needs_vmap = pytest.mark.skipif(
    not hasattr(torch.library, "register_vmap"), reason="operators have rules for vmap from PyTorch 2.5 on"
)


def differentiate(call: Callable[..., Any], cell: Cell, batch: int, time: int) -> list[Tensor]:
    """What a call of a cell, or what is made of it, returns, and the gradients of a loss of all of it."""
    torch.manual_seed(batch * time)
    x, resets = draw(batch, time, I).requires_grad_(), torch.rand(batch, time) < 0.3
    state = {name: tensor.requires_grad_() for name, tensor in draw_state_of(cell, batch).items()}
    y, final, energy = call(x, state, resets, energy=True)
    loss = y.pow(2).sum() + sum(tensor.pow(2).sum() for tensor in final.values())
    inputs: list[Tensor] = [x, *state.values(), *cell.parameters()]
    return [y, *final.values(), energy, *torch.autograd.grad(loss, inputs)]


def assert_equal(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert torch.equal(one, other)


CALLS: dict[str, tuple[bool, torch.dtype | None, bool, torch.dtype]] = {
    "from zeros": (False, None, True, torch.float32),
    "from a state": (True, torch.bool, False, torch.float64),
    "with everything": (True, torch.uint8, True, torch.float32),
}


@pytest.mark.parametrize(
    ("variant", "called"),
    [
        *((variant, "with everything") for variant in variants.CONFIGS),
        *((variant, called) for variant in A_CELL_OF_EACH for called in ("from zeros", "from a state")),
    ],
)
def test_the_operators_are_what_torch_expects(variant: str, called: str) -> None:
    with_state, resets_dtype, energy, dtype = CALLS[called]
    cell, ops = make_variant(variant).to(dtype).requires_grad_(with_state), torch.ops.stpn_swift
    described = operators.describe(cell.config, dtype)
    params = [cell.get_parameter(name) for name in stpn_swift.cell_from_config(cell.config).params]
    state = [tensor.to(dtype) for tensor in draw_state_of(cell, B).values()] if with_state else []
    resets = None if resets_dtype is None else (torch.rand(B, T) < 0.3).to(resets_dtype)
    call = draw(B, T, I).to(dtype), params, state, resets, described, energy, 0, None
    torch.library.opcheck(ops.sequence.default, call)

    detached: list[Any] = [parameter.detach() for parameter in params]
    call = call[0], detached, *call[2:]
    torch.use_deterministic_algorithms(True)  # fills the bytes of a tape that the kernel does not write
    try:
        torch.library.opcheck(ops.forward.default, call)
    finally:
        torch.use_deterministic_algorithms(False)
    *results, link, tape = ops.forward(*call)
    grad_final = [None, *map(torch.randn_like, results[2 : 1 + len(cell.initial_state(B))])]
    wanted = [True, *[index > 0 for index in range(len(params))], *[True] * len(state)]
    for grad_y in (None, torch.randn_like(results[0])):
        back = tape, link, grad_y, grad_final, B, T, wanted, described, 0, None
        torch.library.opcheck(ops.backward.default, back)


def test_calls_that_the_operators_refuse() -> None:
    cell, ops, x = make_variant("stpnr"), torch.ops.stpn_swift, draw(B, T, I)
    described, params = (
        operators.describe(cell.config, torch.float64),
        [p.detach() for p in cell.parameters()],
    )
    elsewhere = [tensor.to("meta") for tensor in params]
    for operator in (ops.sequence, ops.forward):
        with pytest.raises(ValueError, match="x: expected the device of all tensors, meta, got cpu"):
            operator(x, elsewhere, [], None, described, False, 0, None)
    *_, link, tape = ops.forward(x, params, [], None, described, False, 0, None)
    with pytest.raises(ValueError, match="wanted: expected 7 or fewer, got 9"):
        ops.backward(tape, link, draw(B, T, H), [None, None], B, T, [True] * 9, described, 0, None)


def test_a_tape_is_large_enough(variant: str, dtype: str) -> None:
    for sizes in ((1, 1), (I, H), (37, 11)):
        kernel = variants.make(variant, *sizes, dtype=dtype)._kernel
        described = operators.describe(kernel.config, getattr(torch, dtype))
        for batch in (0, 1, 2, 3, 5, 8, 63, 65, 130):
            for time in (0, 1, 2, 3, 5, 8, 63, 65, 130, 1000):
                given = operators.tape_size(described, batch, time)
                assert given >= max(kernel.tape_size(batch, time, name) for name in AVAILABLE)
                assert given <= 1.1 * kernel.tape_size(batch, time, None) + 16384
                assert given % 8 == 0


def test_only_a_tape_is_kept() -> None:
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.nbytes)
        return tensor

    cell = make_variant("stpnr")
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        differentiate(cell, cell, B, T)
    assert operators.tape_size(operators.describe(cell.config, torch.float64), B, T) in kept
    kept.clear()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cell(draw(B, T, I))
    assert len(kept) == 2 and 0 in kept


@pytest.mark.parametrize(
    ("variant", "backend"),
    [*((variant, "aot_eager") for variant in A_CELL_OF_EACH), ("stpnr all at once", "inductor")],
)
def test_compiled_code_is_for_all_lengths(variant: str, backend: str) -> None:
    torch._dynamo.reset()
    cell, counter = make_variant(variant), CompileCounterWithBackend(backend)
    compiled = torch.compile(cell, fullgraph=True, backend=counter)
    for batch, time in ((3, 4), (5, 6), (7, 33), (2, 100), (64, 7)):
        expected = differentiate(cell, cell, batch, time)
        for one, other in zip(differentiate(compiled, cell, batch, time), expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert counter.frame_count == 2  # once for the first sizes, and once for all others
    with torch.no_grad():
        x = draw(9, 8, I)
        assert torch.equal(compiled(x)[0], cell(x)[0])


def test_a_network_around_a_cell_is_compiled_with_it() -> None:
    class Reader(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.readout = make_variant("stpnr"), torch.nn.Linear(H, I, dtype=torch.float64)

        def forward(self, x: Tensor) -> Any:
            return self.readout(torch.tanh(self.cell(2 * x)[0]))[:, -1]

    torch._dynamo.reset()
    model, x = Reader(), draw(B, T, I)
    losses = []
    for call in (model, torch.compile(model, fullgraph=True)):
        loss = call(x).pow(2).sum()
        losses.append([loss, *torch.autograd.grad(loss, list(model.parameters()))])
    for one, other in zip(*losses, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_cell_is_exported_with_any_batch_and_time(tmp_path: Path) -> None:
    cell = make_variant("stpnr")
    sizes = {"x": {0: torch.export.Dim("B"), 1: torch.export.Dim("T")}}
    torch.export.save(
        torch.export.export(cell, (draw(B, T, I),), dynamic_shapes=sizes), tmp_path / "cell.pt2"
    )
    again = torch.export.load(tmp_path / "cell.pt2").module()
    x = draw(7, 9, I)
    assert torch.equal(again(x)[0], cell(x)[0])


@each
@needs_vmap
def test_a_stack_of_inputs(variant: str) -> None:
    cell, x, resets = make_variant(variant), draw(N, B, T, I), torch.rand(B, N, T) < 0.3
    states = [draw_state_of(cell, B) for _ in range(N)]
    stacked = {name: torch.stack([state[name] for state in states], -1) for name in states[0]}
    y, final, energy = vmap(lambda *call: cell(*call, energy=True), (0, -1, 1))(x, stacked, resets)
    for i in range(N):
        one, state, used = cell(x[i], states[i], resets[:, i], energy=True)
        assert_equal(
            [y[i], energy[i], *(tensor[i] for tensor in final.values())], [one, used, *state.values()]
        )
    alone = vmap(cell, (0, None))(x, states[0])[0]
    assert torch.equal(alone[1], cell(x[1], states[0])[0])


@each
@needs_vmap
def test_an_ensemble_is_trained_at_once(variant: str) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    params = {
        name: torch.stack([p.detach() + 0.01 * i for i in range(N)]).requires_grad_()
        for name, p in cell.named_parameters()
    }
    y = vmap(lambda p, x: functional_call(cell, p, (x,))[0], (0, None))(params, x)
    gradients = torch.autograd.grad(y.pow(2).sum(), list(params.values()))
    for i in range(N):
        one = {name: p[i].detach().requires_grad_() for name, p in params.items()}
        expected = functional_call(cell, one, (x,))[0]
        assert torch.equal(y[i], expected)
        assert_equal(
            [gradient[i] for gradient in gradients],
            list(torch.autograd.grad(expected.pow(2).sum(), list(one.values()))),
        )


@each
@needs_vmap
def test_stacks_of_none(variant: str) -> None:
    cell, x = make_variant(variant), draw(B, T, I)
    params = {name: draw(0, *p.shape, gradient=True) for name, p in cell.named_parameters()}
    resets = torch.zeros(0, B, T, dtype=torch.bool)

    def run(params: dict[str, Tensor], x: Tensor, resets: Tensor) -> Any:
        return functional_call(cell, params, (x, None, resets))

    y, final = vmap(run, (0, None, 0))(params, x, resets)
    assert y.shape == (0, B, T, H)
    assert {name: tensor.shape[1:] for name, tensor in final.items()} == {
        name: tensor.shape for name, tensor in cell.initial_state(B).items()
    }
    gradients = torch.autograd.grad(y.sum(), list(params.values()))
    of_each = vmap(grad(lambda *call: run(*call)[0].sum()), (0, None, 0))(params, x, resets)
    for found in (gradients, of_each.values()):
        assert [gradient.shape for gradient in found] == [p.shape for p in params.values()]
    assert vmap(cell)(draw(0, B, T, I))[0].shape == (0, B, T, H)


@each
@needs_vmap
def test_gradients_for_each_of_a_stack(variant: str) -> None:
    cell, x = make_variant(variant), draw(N, B, T, I)

    def loss(params: dict[str, Tensor], x: Tensor) -> Any:
        y, final = functional_call(cell, params, (x,))
        return y.pow(2).sum() + final["F"].pow(2).sum()

    params: dict[str, Tensor] = dict(cell.named_parameters())
    of_each = vmap(grad(loss), (None, 0))(params, x)
    of_sum = grad(lambda params: vmap(loss, (None, 0))(params, x).sum())(params)
    expected = [torch.autograd.grad(loss(params, x[i]), list(params.values())) for i in range(N)]
    for i in range(N):
        assert_equal([gradient[i] for gradient in of_each.values()], list(expected[i]))
    for gradient, parts in zip(of_sum.values(), zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(gradient, sum(parts), rtol=1e-12, atol=1e-12)


def test_batched_gradients(variant: str) -> None:
    """Of all outputs, and of one."""
    cell, x = make_variant(variant), draw(B, T, I, gradient=True)
    state = draw_state_of(cell, B, gradient=True)
    y, final = cell(x, state)
    outputs, inputs = [y, *final.values()], [x, *state.values(), *cell.parameters()]
    grads = [draw(N, *output.shape) for output in outputs]
    for count in (len(outputs), 1):
        batched = torch.autograd.grad(
            outputs[:count], inputs, grads[:count], is_grads_batched=True, retain_graph=True
        )
        for i in range(N):
            given = [grad[i] for grad in grads[:count]]
            one = torch.autograd.grad(outputs[:count], inputs, given, retain_graph=True)
            assert_equal([gradient[i] for gradient in batched], list(one))


def test_a_vectorized_jacobian() -> None:
    cell, x = make_variant("stpnr"), draw(B, T, I, gradient=True)

    def jacobian(vectorize: bool) -> Any:
        def run(x: Tensor) -> Tensor:
            return torch.sin(cell(x)[0][:, -1])

        functional: Any = torch.autograd.functional
        return functional.jacobian(run, x, vectorize=vectorize, create_graph=True)

    torch.testing.assert_close(jacobian(True), jacobian(False), rtol=1e-12, atol=1e-12)
    with pytest.raises(RuntimeError, match="no second derivatives"):
        jacobian(True).sum().backward()
    assert torch.autograd.gradcheck(lambda x: cell(x)[0], x, check_batched_grad=True)


def test_a_compiled_gradient() -> None:
    """Whose own derivative the compiler asks for, as parameters need one: refused only where it is run."""
    torch._dynamo.reset()
    cell, x = make_variant("stpnr"), draw(B, T, I)

    def gradient(x: Tensor) -> Any:
        return grad(lambda x: cell(x)[0].pow(2).sum())(x)

    compiled = torch.compile(gradient, fullgraph=True, backend="aot_eager")(x)
    assert torch.equal(compiled, gradient(x))
    with pytest.raises(RuntimeError, match="no second derivatives"):
        compiled.sum().backward()


UNKNOWN: dict[str, Callable[[Cell, Tensor], object]] = {
    "second": lambda cell, x: grad(lambda x: grad(lambda x: cell(x)[0].sum())(x).sum())(x),
    "Hessian": lambda cell, x: torch.func.hessian(lambda x: cell(x)[0].sum())(x),
    "jvp": lambda cell, x: torch.func.jvp(lambda x: cell(x)[0], (x,), (x,)),
    "penalty": lambda cell, x: penalize(cell, x.requires_grad_(), x),
    "penalty of a parameter": lambda cell, x: penalize(cell, x, cell.get_parameter("weight")),
    "dual": lambda cell, x: dual(cell, x),
}


def penalize(cell: Cell, x: Tensor, of: Tensor) -> None:
    y, _ = cell(x)
    (gradient,) = torch.autograd.grad(y.sum(), of, create_graph=True)
    torch.autograd.backward(gradient.pow(2).sum() + y.pow(2).sum())


def dual(cell: Cell, x: Tensor) -> None:
    with torch.no_grad(), forward_ad.dual_level():
        cell(forward_ad.make_dual(x, x))  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", UNKNOWN)
def test_derivatives_that_the_kernel_has_not(name: str) -> None:
    cell, x = make_variant("stpnr"), draw(B, T, I)
    with pytest.raises(RuntimeError, match='a cell with backend="torch" has them'):
        UNKNOWN[name](cell, x)
    cell.backend = "torch"
    UNKNOWN[name](cell, x)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", ["kernel", "torch"])
def test_autocast_computes_in_float32(dtype: torch.dtype, backend: Backend) -> None:
    cell = STPNR(I, H, backend=backend)
    x, state = torch.randn(B, T, I).to(dtype).requires_grad_(), cell.initial_state(B)
    halves = {name: torch.randn_like(tensor).to(dtype) for name, tensor in state.items()}
    with torch.autocast("cpu", dtype=dtype):
        y, _ = cell(x, halves)
    (gradient,) = torch.autograd.grad(y.pow(2).sum(), x)
    z = x.detach().float().requires_grad_()
    expected, _ = cell(z, {name: half.float() for name, half in halves.items()})
    assert torch.equal(y, expected)
    assert torch.equal(gradient, torch.autograd.grad(expected.pow(2).sum(), z)[0].to(dtype))
    with pytest.raises(TypeError, match=r"x: expected torch\.float32, got"):
        cell(x)
