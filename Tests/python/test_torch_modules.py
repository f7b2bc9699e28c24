"""What the modules of stpn_swift.torch take beside a batch of whole sequences, and their backends."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import stpn_swift
import variants

pytest.importorskip("torch")
import torch
from stpn_swift.torch import STPNR, Cell, Modulated, cell_from_config
from stpn_swift.torch.module import Backend
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch_cells import H, I, draw, draw_state_of, each, make_variant

B, T = 5, 6
LENGTHS = torch.tensor([3, 6, 1, 3, 5])


def draw_state(cell: Cell) -> dict[str, Tensor]:
    return draw_state_of(cell, B, gradient=True)


def gradients(outputs: list[Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Of the sum of their squares."""
    loss = sum((tensor.pow(2).sum() for tensor in outputs), start=torch.zeros(()))
    return list(torch.autograd.grad(loss, inputs))


def assert_close(actual: list[Tensor], expected: list[Tensor]) -> None:
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def one_by_one(
    cell: Cell, x: Tensor, lengths: Tensor, state: dict[str, Tensor] | None, resets: Tensor | None
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """What a loop over the samples has of them."""
    samples = []
    for b, length in enumerate(lengths.tolist()):
        before = None if state is None else {name: tensor[b] for name, tensor in state.items()}
        samples.append(cell(x[b, :length], before, None if resets is None else resets[b, :length], True))
    ys, finals, energies = zip(*samples, strict=True)
    final = {name: torch.stack([one[name] for one in finals]) for name in finals[0]}
    return padded(ys, x.shape[1]), final, padded(energies, x.shape[1])


def padded(sequences: tuple[Tensor, ...], time: int) -> Tensor:
    return torch.stack([torch.nn.functional.pad(one, (0, 0, 0, time - len(one))) for one in sequences])


@each
def test_a_single_sample(variant: str) -> None:
    cell, x, state, resets = make_variant(variant), draw(B, T, I), None, torch.rand(B, T) < 0.3
    assert torch.equal(cell(x[1], cell.initial_state())[0], cell(x[1])[0])
    for state in (None, draw_state(make_variant(variant))):
        before = None if state is None else {name: tensor[1] for name, tensor in state.items()}
        y, final, energy = cell(x[1], before, resets[1], energy=True)
        expected = cell(x, state, resets, energy=True)
        assert_close([y, energy], [expected[0][1], expected[2][1]])
        assert_close(list(final.values()), [tensor[1] for tensor in expected[1].values()])


@each
def test_time_first(variant: str) -> None:
    cell, other = make_variant(variant, batch_first=False), make_variant(variant)
    x, state, resets = draw(B, T, I), draw_state(cell), torch.rand(B, T) < 0.3
    for lengths in (None, LENGTHS):
        y, final, energy = cell(x.transpose(0, 1), state, resets.T, energy=True, lengths=lengths)
        assert y.shape == energy.shape == (T, B, H)
        expected = other(x, state, resets, energy=True, lengths=lengths)
        assert torch.equal(y.transpose(0, 1), expected[0])
        assert torch.equal(energy.transpose(0, 1), expected[2])
        assert_close(list(final.values()), list(expected[1].values()))


@each
@pytest.mark.parametrize("backend", ["kernel", "torch"])
@pytest.mark.parametrize("with_state", [False, True])
def test_lengths(variant: str, backend: str, with_state: bool) -> None:
    cell = make_variant(variant, backend=backend)
    x, state = draw(B, T, I).requires_grad_(), draw_state(cell) if with_state else None
    resets = torch.rand(B, T) < 0.3 if with_state else None
    inputs = [x, *cell.parameters(), *(state or {}).values()]
    results = []
    for call in (
        lambda: cell(x, state, resets, True, lengths=LENGTHS),
        lambda: one_by_one(cell, x, LENGTHS, state, resets),
    ):
        y, final, energy = call()
        outputs = [y, *final.values()]
        results.append([*outputs, energy, *gradients(outputs, inputs)])
    assert_close(*results)
    unread = x.detach().clone()
    unread[torch.arange(T) >= LENGTHS[:, None]] = torch.nan
    assert torch.equal(cell(unread, state, resets, lengths=LENGTHS)[0], results[0][0])


@each
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("sort", [True, False])
def test_packed_sequences(variant: str, batch_first: bool, sort: bool) -> None:
    cell = make_variant(variant, batch_first=batch_first)
    lengths = LENGTHS.sort(descending=True).values if sort else LENGTHS
    x, state, resets = draw(B, T, I).requires_grad_(), draw_state(cell), torch.rand(B, T) < 0.3
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=sort)
    y, final, energy = cell(packed, state, resets if batch_first else resets.T, energy=True)
    assert isinstance(y, PackedSequence)
    expected = make_variant(variant)(x, state, resets, energy=True, lengths=lengths)
    assert torch.equal(pad_packed_sequence(y, batch_first=True)[0], expected[0])
    assert torch.equal(pad_packed_sequence(energy, batch_first=True)[0], expected[2])
    assert_close(list(final.values()), list(expected[1].values()))
    (gradient,) = gradients([y.data, *final.values()], [x])
    assert torch.equal(gradient, gradients([expected[0], *expected[1].values()], [x])[0])


def test_lengths_of_no_samples() -> None:
    y, state = make_variant("stpnr")(draw(0, T, I), lengths=LENGTHS[:0])
    assert y.shape == (0, T, H) and state["h"].shape == (0, H)


def test_packed_sequences_as_nn_lstm_takes_them() -> None:
    """Shapes and orders, with the cell in the place of an LSTM."""
    packed = pack_padded_sequence(draw(B, T, I), LENGTHS, batch_first=True, enforce_sorted=False)
    expected, (h, _) = torch.nn.LSTM(I, H, batch_first=True, dtype=torch.float64)(packed)
    y, state = make_variant("stpnr")(packed)
    assert y.data.shape == expected.data.shape and state["h"].shape == h[0].shape
    for one, other in zip(y[1:], expected[1:], strict=True):
        assert torch.equal(one, other)


def test_backends_agree(variant: str) -> None:
    cell = make_variant(variant)
    x, state, resets = draw(B, T, I).requires_grad_(), draw_state(cell), torch.rand(B, T) < 0.3
    inputs = [x, *state.values(), *cell.parameters()]
    results, stepped = [], []
    for backend in ("kernel", "torch"):
        cell.backend = backend
        y, final, energy = cell(x, state, resets, energy=True)
        outputs = [y, *final.values()]
        results.append([*outputs, energy, *gradients(outputs, inputs)])
        with torch.no_grad():
            rolled = {name: tensor.clone() for name, tensor in state.items()}
            out, used = draw(B, H), draw(B, H)
            first = cell.step(x[:, 0], rolled)
            assert cell.step(x[:, 1], rolled, out, used) is out
            stepped.append([first, out, used, *rolled.values()])
    assert_close(*results)
    assert_close(*stepped)


def test_the_plain_form_has_second_derivatives() -> None:
    cell, x = make_variant("stpnr", backend="torch"), draw(1, 2, I).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: cell(x)[0], x)


@pytest.mark.parametrize("backend", ["kernel", "torch"])
@pytest.mark.parametrize(("batch", "time"), [(B, 0), (0, T), (0, 0)])
def test_gradients_of_nothing_are_zeros(backend: Backend, batch: int, time: int) -> None:
    cell, x = make_variant("stpnr", backend=backend), draw(batch, time, I, gradient=True)
    y, _, energy = cell(x, energy=True)
    assert y.shape == energy.shape == (batch, time, H) and not energy.requires_grad
    inputs = [x, *cell.parameters()]
    for gradient, of in zip(torch.autograd.grad(y.sum(), inputs), inputs, strict=True):
        assert gradient.shape == of.shape and not gradient.any()


def test_auto_computes_on_any_device_and_in_any_dtype() -> None:
    cell = STPNR(I, H, device="meta", dtype=torch.bfloat16)
    assert {(p.device.type, p.dtype) for p in cell.parameters()} == {("meta", torch.bfloat16)}
    x = torch.zeros(B, T, I, dtype=torch.bfloat16)
    y, final = cell(x.to("meta"))
    assert y.shape == (B, T, H) and y.is_meta and final["F"].is_meta
    cell = STPNR(I, H, dtype=torch.bfloat16)
    state = cell.initial_state(B)
    y, final = cell(x, state)
    assert y.dtype == final["F"].dtype == torch.bfloat16
    assert cell.step(x[:, 0], state).dtype == torch.bfloat16
    assert torch.equal(state["h"], y[:, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("backend", ["kernel", "torch"])
def test_steps_under_autocast_take_inputs_of_16_bits(dtype: torch.dtype, backend: Backend) -> None:
    cell, x_t = STPNR(I, H, backend=backend), torch.randn(B, I).to(dtype)
    state, expected = cell.initial_state(B), cell.initial_state(B)
    with torch.no_grad():
        for _ in range(2):
            with torch.autocast("cpu", dtype=dtype):
                y = cell.step(x_t, state)
            assert torch.equal(y, cell.step(x_t.float(), expected))
        assert y.dtype == torch.float32 and torch.equal(state["F"], expected["F"])
        with pytest.raises(TypeError, match=r"x_t: expected torch\.float32, got"):
            cell.step(x_t, state)
        halves = {name: tensor.to(dtype) for name, tensor in state.items()}
        with (
            torch.autocast("cpu", dtype=dtype),
            pytest.raises(TypeError, match=r"state\['h'\]: expected torch\.float32, got"),
        ):
            cell.step(x_t, halves)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128, torch.int64, torch.bool])
def test_dtypes_that_are_not_floating_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"dtype: expected a floating dtype of torch, got {dtype}"):
        STPNR(I, H, dtype=dtype)
    cell, x = STPNR(I, H), torch.zeros(B, T, I, dtype=dtype)
    for call in (lambda: cell(x), lambda: cell.step(x[:, 0], cell.initial_state(B))):
        with (
            torch.no_grad(),
            pytest.raises(TypeError, match=rf"x(_t)?: expected torch\.float32, got {dtype}"),
        ):
            call()
    cast = {name: parameter.to(dtype) for name, parameter in cell.named_parameters()}
    refused = rf"params\['weight'\]: expected a floating dtype of torch, got {dtype}"
    with pytest.raises(TypeError, match=refused):
        torch.func.functional_call(cell, cast, (x,))
    state = cell.initial_state(B)
    if dtype.is_complex:
        with pytest.warns(UserWarning, match="Complex modules"):
            cell.to(dtype)
        with torch.no_grad(), pytest.raises(TypeError, match=refused):
            cell.step(x[:, 0], state)


def test_parameters_are_drawn_in_their_ranges(variant: str) -> None:
    cell = cell_from_config(variants.CONFIGS[variant] | {"input_size": 37, "hidden_size": 11})
    ranges = variants.make(variant, 37, 11, dtype="float32")._kernel.parameters
    for _ in range(2):
        for name, shape, low, high in ranges:
            parameter = cell.get_parameter(name)
            assert parameter.shape == shape
            assert low - 1e-6 <= parameter.min() and parameter.max() <= high + 1e-6
            if low == high:
                assert torch.allclose(parameter, torch.tensor(low))
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.fill_(1e3)
        cell.reset_parameters()


def test_a_state_dict_has_a_version() -> None:
    cell, other = Modulated(I, H), Modulated(I, H)
    model = torch.nn.ModuleDict({"cell": cell})
    saved: Any = model.state_dict()
    assert saved._metadata["cell"]["version"] == 1
    torch.nn.ModuleDict({"cell": other}).load_state_dict(saved)
    for one, same in zip(cell.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, same)
    saved._metadata["cell"]["version"] = None
    assert not model.load_state_dict(saved).missing_keys
    saved._metadata["cell"]["version"] = 2
    with pytest.raises(RuntimeError, match="cell: expected version 1 or less of Modulated, got 2"):
        model.load_state_dict(saved)
    cell.load_state_dict(dict(cell.state_dict()))  # of safetensors, say


def test_repr_shows_the_options_of_modules() -> None:
    assert repr(STPNR(I, H, batch_first=False, backend="torch")) == (
        "STPNR(input_size=2, hidden_size=5, batch_first=False, backend='torch')"
    )


def run_with(cell: Cell, bias: Tensor) -> object:
    return torch.func.functional_call(cell, {"bias": bias}, (draw(B, T, I),))


def time_first(cell: Cell) -> Cell:
    cell.batch_first = False
    return cell


REFUSED: list[tuple[type[Exception], str, Callable[[Cell], object]]] = [
    (TypeError, "lengths: expected a Tensor, got list", lambda cell: cell(draw(B, T, I), lengths=[1] * B)),
    (
        TypeError,
        r"lengths: expected torch.int64 or torch.int32, got torch.float64",
        lambda cell: cell(draw(B, T, I), lengths=draw(B)),
    ),
    (
        ValueError,
        r"lengths: expected shape \(5,\), got \(4,\)",
        lambda cell: cell(draw(B, T, I), lengths=LENGTHS[1:]),
    ),
    (
        ValueError,
        "lengths: expected 1 to 6, got 0 to 5",
        lambda cell: cell(draw(B, T, I), lengths=LENGTHS - 1),
    ),
    (
        ValueError,
        "lengths: expected 1 to 6, got 2 to 7",
        lambda cell: cell(draw(B, T, I), lengths=LENGTHS + 1),
    ),
    (
        ValueError,
        "lengths: expected None beside a single sample, got Tensor",
        lambda cell: cell(draw(T, I), lengths=LENGTHS),
    ),
    (
        ValueError,
        "lengths: expected None beside a PackedSequence, got Tensor",
        lambda cell: cell(pack_padded_sequence(draw(T, B, I), [T] * B), lengths=LENGTHS),
    ),
    (
        ValueError,
        r"resets: expected shape \(5, 6\), got \(5, 7\)",
        lambda cell: cell(draw(B, T, I), None, torch.zeros(B, T + 1, dtype=torch.bool), lengths=LENGTHS),
    ),
    (
        ValueError,
        r"state\['h'\]: expected shape \(5, 5\), got \(6, 5\)",
        lambda cell: cell(draw(B, T, I), cell.initial_state(B + 1), lengths=LENGTHS),
    ),
    (
        ValueError,
        r"state\['h'\]: expected shape \(5, 5\), got \(\)",
        lambda cell: cell(draw(B, T, I), dict.fromkeys("hF", draw(1)[0]), lengths=LENGTHS),
    ),
    (
        ValueError,
        r"state\['h'\]: expected shape \(5,\), got \(1, 5\)",
        lambda cell: cell(draw(T, I), cell.initial_state(1)),
    ),
    (
        ValueError,
        r"resets: expected shape \(6,\), got \(7,\)",
        lambda cell: cell(draw(T, I), None, torch.zeros(T + 1, dtype=torch.bool)),
    ),
    (
        ValueError,
        r"resets: expected shape \(6, 5\), got \(5, 6\)",
        lambda cell: time_first(cell)(draw(T, B, I), None, torch.zeros(B, T, dtype=torch.bool)),
    ),
    (
        ValueError,
        r"resets: expected shape \(6, 5\), got \(5, 7\)",
        lambda cell: time_first(cell)(
            draw(T, B, I), None, torch.zeros(B, T + 1, dtype=torch.bool), lengths=LENGTHS
        ),
    ),
    (
        ValueError,
        r"resets: expected shape \(4, 5\), got \(5, 4\)",
        lambda cell: time_first(cell)(
            pack_padded_sequence(draw(4, B, I), [4] * B), None, torch.zeros(B, 4, dtype=torch.bool)
        ),
    ),
    (
        ValueError,
        r"params\['bias'\]: expected shape \(5,\), got \(1,\)",
        lambda cell: run_with(cell, draw(1)),
    ),
    (
        TypeError,
        r"params\['bias'\]: expected .*float64, got .*float32",
        lambda cell: run_with(cell, torch.ones(H)),
    ),
    (ValueError, r"x: expected shape \(B, T, 2\) or \(T, 2\), got \(2,\)", lambda cell: cell(draw(I))),
    (
        ValueError,
        r"x: expected shape \(B, T, 2\) or \(T, 2\), got \(20, 3\)",
        lambda cell: cell(pack_padded_sequence(draw(4, B, I + 1), [4] * B)),
    ),
    (ValueError, "backend: expected .* got 'gpu'", lambda cell: STPNR(I, H, backend="gpu")),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("backend", ["kernel", "torch"])
@pytest.mark.parametrize(("error", "message", "call"), REFUSED, ids=[row[1] for row in REFUSED])
def test_bad_input_is_refused(
    backend: str, error: type[Exception], message: str, call: Callable[[Cell], object]
) -> None:
    with pytest.raises(error, match=message):
        call(make_variant("stpnr", backend=backend))


STEPS_REFUSED: list[tuple[str, Callable[[Cell, Tensor, dict[str, Tensor]], object]]] = [
    (r"out: expected shape \(5, 5\), got \(1, 5\)", lambda cell, x, state: cell.step(x, state, draw(1, H))),
    (r"energy: expected shape \(5, 5\), got", lambda cell, x, state: cell.step(x, state, energy=draw(H, 1))),
    (r"state\['h'\]: expected", lambda cell, x, state: cell.step(x, state | {"h": draw(1, H)})),
    (
        r"state: expected the entries \('h', 'F'\), got \('h',\)",
        lambda cell, x, state: cell.step(x, {"h": state["h"]}),
    ),
    (r"x_t: expected shape \(B, 2\), got", lambda cell, x, state: cell.step(x[None], state)),
]


@pytest.mark.parametrize("backend", ["kernel", "torch"])
@pytest.mark.parametrize(("message", "call"), STEPS_REFUSED, ids=[row[0] for row in STEPS_REFUSED])
def test_bad_steps_are_refused(
    backend: str, message: str, call: Callable[[Cell, Tensor, dict[str, Tensor]], object]
) -> None:
    cell = make_variant("stpnr", backend=backend)
    state = cell.initial_state(B)
    with pytest.raises(ValueError, match=message):
        call(cell, draw(B, I), state)
    assert not any(tensor.any() for tensor in state.values())  # nothing was written


@pytest.mark.parametrize("name", ["STPN", "STPNR", "STPNF", "HebbFF", "FastWeights", "Modulated"])
def test_signatures_have_every_option(name: str) -> None:
    numpy_class, module = getattr(stpn_swift, name), getattr(stpn_swift.torch, name)
    described = inspect.signature(module).parameters
    options = numpy_class.OPTIONS.keys() - numpy_class.FIXED.keys()
    assert described.keys() >= options | {
        "input_size",
        "hidden_size",
        "batch_first",
        "backend",
        "device",
        "dtype",
    }
    for option in options:
        assert described[option].default == numpy_class.OPTIONS[option]
    cell = torch.nn.utils.skip_init(module, 3, 4)  # type: ignore[no-untyped-call]
    assert cell.config == module(3, 4).config and not any(p.is_meta for p in cell.parameters())


OVERLAPS: list[tuple[str, Callable[[Cell, Tensor, dict[str, Tensor]], object]]] = [
    ("energy", lambda cell, x, state: cell.step(x, state, out := draw(B, H), out)),
    (r"state\W+h", lambda cell, x, state: cell.step(x, state, state["h"])),
    (r"state\W+h", lambda cell, x, state: cell.step(x, state, energy=state["h"])),
    (
        r"state\W+F",
        lambda cell, x, state: cell.step(x, state | {"h": state["F"].flatten()[-B * H :].view(B, H)}),
    ),
    ("x", lambda cell, x, state: cell.step(state["h"].flatten()[: B * I].view(B, I), state)),
    (
        r"param\w+\W+bias",
        lambda cell, x, state: cell.step(x[:1], cell.initial_state(1), cell.get_parameter("bias").data[None]),
    ),
]


@pytest.mark.parametrize("backend", ["kernel", "torch"])
@pytest.mark.parametrize(("other", "call"), OVERLAPS, ids=[row[0] for row in OVERLAPS])
def test_a_step_writes_to_nothing_else(
    backend: str, other: str, call: Callable[[Cell, Tensor, dict[str, Tensor]], object]
) -> None:
    cell = make_variant("stpnr", backend=backend)
    state = cell.initial_state(B)
    message = rf"^(?=.*{other}).*: expected memory of its own, overlaps "
    with torch.no_grad(), pytest.raises(ValueError, match=message):
        call(cell, draw(B, I), state)
    assert not any(tensor.any() for tensor in state.values())


def test_steps_on_parts_of_a_tensor() -> None:
    """What only lies beside another in the same memory overlaps nothing."""
    cell, x_t = make_variant("stpnr", backend="torch"), draw(B, I)
    expected, memory = cell.initial_state(B), torch.zeros(B * H * (3 + I + H)).double()
    out, used, h, F = torch.split(memory, [B * H, B * H, B * H, B * H * (I + H)])
    state = {"h": h.view(B, H), "F": F.view(B, H, -1)}
    with torch.no_grad():
        y = cell.step(x_t, state, out.view(B, H), used.view(B, H))
        assert torch.equal(y, cell.step(x_t, expected)) and torch.equal(state["F"], expected["F"])


def test_a_step_names_what_has_no_memory_of_its_own() -> None:
    cell = STPNR(I, H)
    state, x_t = cell.initial_state(B), torch.randn(B, I)
    negative = {name: torch.imag(torch.complex(tensor, tensor).conj()) for name, tensor in state.items()}
    with torch.no_grad():
        with pytest.raises(
            ValueError, match=r"^state\['h'\]: expected a tensor in its own memory: .*negative"
        ):
            cell.step(x_t, negative)
        with pytest.raises(ValueError, match=r"^x_t: expected a tensor in its own memory: "):
            torch.func.vmap(lambda one: cell.step(one, state))(x_t[None])
    assert not any(tensor.any() for tensor in state.values())
