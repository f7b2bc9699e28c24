"""What the NumPy API promises, of every cell."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
import reference
import stpn_swift
from arrays import assert_same, draw, read_only, unaligned
from stpn_swift import STPNR, Cell, _kernel
from stpn_swift.cells import Normalize
from variants import make

Array = golden.Array
B, T, I, H = 3, 6, 4, 5  # noqa: E741
MODES: list[Normalize] = [None, "output", "pre", "post"]


@pytest.fixture
def cell(variant: str, implementation: str) -> Cell:
    return make(variant, I, H, implementation=implementation)


@pytest.fixture
def data(cell: Cell) -> dict[str, Any]:
    return draw(np.random.default_rng(2), cell, B, T)


# Sequences


@pytest.mark.parametrize("normalize", MODES)
@pytest.mark.parametrize("clamp", [None, 0.05])
def test_forward_agrees_with_the_equations(
    normalize: Normalize, clamp: float | None, dtype: str, implementation: str
) -> None:
    cell = STPNR(I, H, normalize=normalize, clamp=clamp, dtype=dtype, seed=3)
    cell.implementation = implementation
    data = draw(np.random.default_rng(4), cell, B, T)
    y, final = cell(data["x"], data["state"], data["resets"])
    expected_y, expected_final = reference.forward(cell, data["x"], data["state"], data["resets"])
    golden.assert_close(y, expected_y, "y")
    golden.assert_all_close(final, expected_final, "final")


def test_inference_gives_the_bits_of_forward(cell: Cell, data: dict[str, Any]) -> None:
    x, state, resets = data["x"], data["state"], data["resets"]
    y, final, _, energy = cell.forward(x, state, resets, energy=True)
    assert_same(cell(x, state, resets), (y, final))
    assert_same(cell.forward(x, state, resets)[:2], (y, final))
    assert_same(cell(x, state, resets, energy=True), (y, final, energy))
    assert_same(cell.energy(x, state, resets), energy)


def test_energy_is_never_negative_and_changes_no_gradient(cell: Cell, data: dict[str, Any]) -> None:
    def backward(tape: stpn_swift.Tape) -> stpn_swift.Grads:
        return cell.backward(tape, data["grad_y"], data["grad_state"])

    _, _, tape, energy = cell.forward(data["x"], data["state"], energy=True)
    assert energy.shape == (B, T, H) and np.all(energy >= 0) and energy.any()
    assert_same(backward(tape), backward(cell.forward(data["x"], data["state"])[2]))


def test_nothing_uses_no_energy(cell: Cell) -> None:
    """Whatever the step makes of it: the energy is that of the state before."""
    assert not cell.energy(np.zeros((B, 1, I))).any()


def test_no_state_is_a_state_of_zeros(cell: Cell, data: dict[str, Any]) -> None:
    assert_same(cell(data["x"]), cell(data["x"], cell.initial_state(B)))
    y, final, tape = cell.forward(data["x"])
    zeros = cell.forward(data["x"], cell.initial_state(B))
    assert_same((y, final), zeros[:2])
    actual = cell.backward(tape, data["grad_y"], data["grad_state"])
    expected = cell.backward(zeros[2], data["grad_y"], data["grad_state"])
    golden.assert_close(actual.x, expected.x)
    golden.assert_all_close(actual.params, expected.params, "params")
    golden.assert_all_close(actual.state, expected.state, "state")


def test_inputs_stay_as_they_are(cell: Cell, data: dict[str, Any]) -> None:
    before = copy.deepcopy((data, cell.params))
    tape = cell.forward(data["x"], data["state"], data["resets"])[2]
    cell.backward(tape, data["grad_y"], data["grad_state"])
    assert_same(cell.params, before[1])
    assert_same(data, before[0])


def test_two_halves_make_the_whole(cell: Cell, data: dict[str, Any]) -> None:
    x, state, resets, half = data["x"], data["state"], data["resets"], T // 2
    y, final, tape = cell.forward(x, state, resets)
    first = cell.forward(x[:, :half], state, resets[:, :half])
    second = cell.forward(x[:, half:], first[1], resets[:, half:])
    golden.assert_close(np.concatenate([first[0], second[0]], axis=1), y, "y")
    golden.assert_all_close(second[1], final, "final")
    # With "post", and in fast weights, F between two steps is rounded where a call ends alone.
    if cell.config.get("normalize") != "post" and cell.config["cell"] != "fast_weights":
        assert_same((np.concatenate([first[0], second[0]], axis=1), second[1]), (y, final))

    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    late = cell.backward(second[2], data["grad_y"][:, half:], data["grad_state"])
    early = cell.backward(first[2], data["grad_y"][:, :half], late.state)
    golden.assert_close(np.concatenate([early.x, late.x], axis=1), grads.x, "x")
    golden.assert_all_close(early.state, grads.state, "state")
    joined = {name: early.params[name] + late.params[name] for name in early.params}
    golden.assert_all_close(joined, grads.params, "params")


def test_a_reset_begins_a_new_sequence(cell: Cell, data: dict[str, Any]) -> None:
    x, state, t = data["x"], data["state"], 2
    resets = np.zeros((B, T), bool)
    resets[:, t] = True
    y, final, tape = cell.forward(x, state, resets)
    first = cell.forward(x[:, :t], state)
    second = cell.forward(x[:, t:])
    assert_same((np.concatenate([first[0], second[0]], axis=1), second[1]), (y, final))
    energy = [cell.energy(x[:, :t], state), cell.energy(x[:, t:])]
    assert_same(np.concatenate(energy, axis=1), cell.energy(x, state, resets))

    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    early = cell.backward(first[2], data["grad_y"][:, :t])
    late = cell.backward(second[2], data["grad_y"][:, t:], data["grad_state"])
    golden.assert_close(np.concatenate([early.x, late.x], axis=1), grads.x, "x")
    golden.assert_all_close(early.state, grads.state, "state")
    joined = {name: early.params[name] + late.params[name] for name in early.params}
    golden.assert_all_close(joined, grads.params, "params")


def test_a_reset_before_the_first_step_drops_the_initial_state(cell: Cell, data: dict[str, Any]) -> None:
    resets = np.zeros((B, T), bool)
    resets[:, 0] = True
    y, final, tape = cell.forward(data["x"], data["state"], resets)
    assert_same((y, final), cell(data["x"]))
    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    assert all(not array.any() for array in grads.state.values())


def test_resets_may_be_bytes(cell: Cell, data: dict[str, Any]) -> None:
    expected = cell(data["x"], data["state"], data["resets"])
    assert_same(cell(data["x"], data["state"], 7 * data["resets"].astype(np.uint8)), expected)


@pytest.mark.parametrize(("batch", "time"), [(0, T), (B, 0), (0, 0)])
def test_empty_sequences(batch: int, time: int, cell: Cell) -> None:
    data = draw(np.random.default_rng(5), cell, batch, time)
    y, final, tape, energy = cell.forward(data["x"], data["state"], data["resets"], energy=True)
    assert y.shape == energy.shape == (batch, time, H)
    assert_same(final, data["state"])
    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    assert grads.x.shape == data["x"].shape
    assert_same(grads.state, data["grad_state"])
    assert all(not array.any() for array in grads.params.values())


def test_a_step_of_no_samples(cell: Cell) -> None:
    energy = np.empty((0, H))
    assert cell.step(np.empty((0, I)), cell.initial_state(0), energy=energy).shape == (0, H)


def test_missing_gradients_are_zero(cell: Cell, data: dict[str, Any]) -> None:
    def backward(grad_y: Array | None, grad_state: dict[str, Any] | None) -> stpn_swift.Grads:
        return cell.backward(cell.forward(data["x"], data["state"])[2], grad_y, grad_state)

    no_y, no_state = np.zeros_like(data["grad_y"]), cell.initial_state(B)
    golden.assert_close(backward(None, data["grad_state"]).x, backward(no_y, data["grad_state"]).x)
    golden.assert_close(backward(data["grad_y"], None).x, backward(data["grad_y"], no_state).x)
    for name, gradient in data["grad_state"].items():
        expected = backward(None, no_state | {name: gradient}).x
        golden.assert_close(backward(None, {name: gradient}).x, expected)
        golden.assert_close(backward(None, dict.fromkeys(no_state) | {name: gradient}).x, expected)
    assert not any(array.any() for array in backward(None, None).params.values())


# Memory layouts


LAYOUTS = {
    "every second": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "Fortran": np.asfortranarray,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "unaligned": unaligned,
}


@pytest.mark.parametrize("layout", [*LAYOUTS.values(), read_only], ids=[*LAYOUTS, "read-only"])
def test_inputs_of_any_layout(layout: Any, cell: Cell, data: dict[str, Any]) -> None:
    def lay_out(array: Array) -> Array:
        laid_out: Array = layout(np.atleast_1d(array)).reshape(array.shape)
        return laid_out

    def lay_out_all(arrays: dict[str, Array]) -> dict[str, Array]:
        return {name: lay_out(array) for name, array in arrays.items()}

    y, final, tape = cell.forward(data["x"], data["state"], data["resets"])
    expected = cell.backward(tape, data["grad_y"], data["grad_state"])

    cell.params = lay_out_all(cell.params)
    actual = cell.forward(lay_out(data["x"]), lay_out_all(data["state"]), lay_out(data["resets"]))
    assert_same(actual[:2], (y, final))
    grads = cell.backward(actual[2], lay_out(data["grad_y"]), lay_out_all(data["grad_state"]))
    assert_same(grads, expected)

    stepped = {name: array.copy() for name, array in data["state"].items()}
    y_t = cell.step(lay_out(data["x"][:, 0]), stepped)
    assert_same((y_t[:, None], stepped), cell(data["x"][:, :1], data["state"]))


def test_a_gradient_of_stride_zero(cell: Cell, data: dict[str, Any]) -> None:
    ones = np.ones((B, T, H))
    expected = cell.backward(cell.forward(data["x"])[2], ones)
    assert_same(cell.backward(cell.forward(data["x"])[2], np.broadcast_to(1.0, (B, T, H))), expected)


def test_parameters_may_be_views_of_a_vector(cell: Cell, data: dict[str, Any]) -> None:
    expected = cell(data["x"])
    vector = np.concatenate([array.ravel() for array in cell.params.values()])
    offset = 0
    for name, array in cell.params.items():
        cell.params[name] = vector[offset : offset + array.size].reshape(array.shape)
        offset += array.size
    assert_same(cell(data["x"]), expected)
    vector *= 2
    assert not np.array_equal(cell(data["x"])[0], expected[0])


def test_a_memoryview_is_an_array(cell: Cell, data: dict[str, Any]) -> None:
    assert_same(cell(memoryview(data["x"])), cell(data["x"]))  # type: ignore[call-overload]


def test_a_final_state_that_is_not_wanted_changes_nothing_else(cell: Cell, data: dict[str, Any]) -> None:
    inputs = data["x"], data["state"], data["resets"]
    y, state, tape, energy = cell.forward(*inputs, energy=True)
    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    same_y, none, tape, same_energy = cell.forward(*inputs, energy=True, final_state=False)
    assert state.keys() == data["state"].keys() and none == {}
    assert_same((same_y, same_energy), (y, energy))
    assert_same(tuple(cell.backward(tape, data["grad_y"], data["grad_state"])), tuple(grads))
    assert_same(cell(*inputs, final_state=False), (y, {}))


# Steps


def test_the_record_has_the_state_after_each_step(cell: Cell, data: dict[str, Any]) -> None:
    x, state, resets = data["x"], data["state"], data["resets"]
    y, final, _, energy, record = cell.forward(x, state, resets, energy=True, record_state=True)
    assert_same((y, final, energy), cell(x, state, resets, energy=True))
    for step in range(T):
        expected = cell(x[:, : step + 1], state, resets[:, : step + 1])[1]
        golden.assert_all_close({name: array[:, step] for name, array in record.items()}, expected, "record")
    without = cell.forward(x, record_state=True)[3]
    assert {name: array.shape for name, array in without.items()} == {
        name: (B, T, *array.shape[1:]) for name, array in final.items()
    }


def test_steps_make_the_sequence(cell: Cell, data: dict[str, Any]) -> None:
    y, final = cell(data["x"], data["state"])
    state = {name: array.copy() for name, array in data["state"].items()}
    arrays = dict(state)
    energy = np.empty((T, B, H))
    steps = [cell.step(data["x"][:, t], state, energy=energy[t]) for t in range(T)]
    golden.assert_close(np.stack(steps, axis=1), y, "y")
    golden.assert_close(energy.swapaxes(0, 1), cell.energy(data["x"], data["state"]), "energy")
    golden.assert_all_close(state, final, "state")
    assert all(state[name] is arrays[name] for name in arrays)


def test_a_step_writes_to_out(cell: Cell, data: dict[str, Any]) -> None:
    x_t, state = data["x"][:, 0], data["state"]
    expected = cell.step(x_t, copy.deepcopy(state))
    rollout = np.full((2, B, H), np.nan)
    assert cell.step(x_t, state, out=rollout[1]).base is rollout
    assert_same(rollout[1], expected)
    assert np.isnan(rollout[0]).all()


def test_a_number_may_be_one_of_numpy(dtype: str) -> None:
    cell = make("hebbff", I, H, dtype=dtype)
    x = draw(np.random.default_rng(2), cell, B, T)["x"]
    y = cell(x)[0]
    cell.params["raw_gamma"] = cell.params["raw_gamma"][()]
    assert isinstance(cell.params["raw_gamma"], np.generic)
    assert_same(cell(x)[0], y)
    cell.params["raw_gamma"] -= np.ones_like(cell.params["raw_gamma"])
    assert not np.array_equal(cell(x)[0], y)


# Tapes


def test_a_tape_remembers_the_forward_call(variant: str, implementation: str, data: dict[str, Any]) -> None:
    def gradients(spoil: bool) -> stpn_swift.Grads:
        cell = make(variant, I, H, implementation=implementation)
        given = copy.deepcopy(data)
        y, final, tape = cell.forward(given["x"], given["state"], given["resets"])
        if spoil:
            for array in (y, given["x"], *final.values(), *given["state"].values(), *cell.params.values()):
                array[...] = np.nan
            given["resets"][...] = True
            cell.params.update({name: np.zeros_like(array) for name, array in cell.params.items()})
        return cell.backward(tape, given["grad_y"], given["grad_state"])

    assert_same(gradients(spoil=True), gradients(spoil=False))


def test_backward_params_are_those_of_backward(cell: Cell, data: dict[str, Any]) -> None:
    gradients = (data["grad_y"], data["grad_state"])
    expected = cell.backward(cell.forward(data["x"], data["state"])[2], *gradients)
    assert_same(cell.backward_params(cell.forward(data["x"], data["state"])[2], *gradients), expected.params)


def test_backward_params_refuses_what_backward_does(cell: Cell, data: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="tape: expected a Tape, got NoneType"):
        cell.backward_params(None, data["grad_y"])  # type: ignore[arg-type]
    tape = cell.forward(data["x"])[2]
    with pytest.raises(ValueError, match="grad_y"):
        cell.backward_params(tape, data["grad_y"][:, 1:])
    cell.backward_params(tape, data["grad_y"])
    with pytest.raises(ValueError, match="not used"):
        cell.backward_params(tape, data["grad_y"])


def test_a_tape_survives_a_refused_backward(cell: Cell, data: dict[str, Any]) -> None:
    tape = cell.forward(data["x"])[2]
    with pytest.raises(ValueError, match="grad_y"):
        cell.backward(tape, data["grad_y"][:, 1:])
    assert tape.nbytes > 0
    cell.backward(tape, data["grad_y"])
    assert tape.nbytes == 0


def test_tapes_may_be_used_in_any_order(cell: Cell, data: dict[str, Any]) -> None:
    one, other = data["x"], data["x"] + 1
    expected = cell.backward(cell.forward(one)[2], data["grad_y"])
    tape = cell.forward(one)[2]
    cell.backward(cell.forward(other)[2], data["grad_y"])
    assert_same(cell.backward(tape, data["grad_y"]), expected)


def test_a_tape_does_not_grow_with_the_synapses(variant: str, dtype: str, implementation: str) -> None:
    cell, time = make(variant, 10, 100, dtype=dtype), 1000
    sizes = [cell._kernel.tape_size(1, steps * time, implementation) for steps in (1, 2)]
    assert sizes[1] - sizes[0] < time * 100 * 100 * cell.dtype.itemsize / 4


# NaN and infinity


@pytest.mark.parametrize("normalize", MODES)
@pytest.mark.parametrize("scale", [1e-10, 1e3, 1e6])
def test_gradients_of_small_and_large_inputs(normalize: Normalize, scale: float, implementation: str) -> None:
    cell = STPNR(37, 11, normalize=normalize, seed=8)
    data = draw(np.random.default_rng(9), cell, 5, 1)
    data["x"] *= np.float32(scale)

    def gradients(name: str) -> dict[str, Array]:
        cell.implementation = name
        _, _, tape = cell.forward(data["x"], data["state"])
        return cell.backward(tape, data["grad_y"], data["grad_state"]).params

    expected = gradients("plain")
    for name, gradient in gradients(implementation).items():
        golden.assert_close(gradient, expected[name])


@pytest.mark.parametrize("normalize", MODES)
@pytest.mark.parametrize("clamp", [None, 0.5])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", ["x", "h", "F", "weight", "bias", "weight_lambda", "weight_gamma"])
def test_nan_and_infinity_flow_as_in_numpy(
    normalize: Normalize, clamp: float | None, value: float, place: str, implementation: str
) -> None:
    cell = STPNR(I, H, normalize=normalize, clamp=clamp, dtype="float64", seed=6)
    cell.implementation = implementation
    data = draw(np.random.default_rng(7), cell, B, T)
    target = {"x": data["x"], **data["state"], **cell.params}[place]
    target.flat[target.size // 2] = value

    y, final = cell(data["x"], data["state"], data["resets"])
    expected_y, expected_final = reference.forward(cell, data["x"], data["state"], data["resets"])
    for actual, expected in [(y, expected_y), *((final[name], expected_final[name]) for name in final)]:
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(actual[~finite], expected[~finite])
        golden.assert_close(actual[finite], expected[finite])


def test_nan_stays_with_its_sample(cell: Cell, data: dict[str, Any]) -> None:
    clean = cell.forward(data["x"], data["state"])
    expected = cell.backward(clean[2], data["grad_y"], data["grad_state"])
    data["x"][1, 2, 0] = np.nan
    y, final, tape = cell.forward(data["x"], data["state"])
    grads = cell.backward(tape, data["grad_y"], data["grad_state"])
    others = [0, 2]
    assert_same((y[others], grads.x[others]), (clean[0][others], expected.x[others]))
    assert_same(y[1, :2], clean[0][1, :2])
    assert np.isnan(y[1, 2:]).any() and np.isnan(final["F"][1]).any()
    assert np.isnan(grads.x[1]).any()
    assert all(np.isnan(array).any() for array in grads.params.values())


# The package


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn_swift.show_config() is None
    printed = capsys.readouterr().out
    shown = stpn_swift.show_config(mode="dicts")
    assert capsys.readouterr().out == ""
    assert stpn_swift.__version__ == shown["version"] == _kernel.__version__
    assert shown["implementation"] in shown["implementations"]
    assert shown["threads"] == stpn_swift.get_num_threads()
    for text in (shown["version"], shown["build"], *shown["implementations"], str(shown["threads"])):
        assert text in printed
    assert json.loads(json.dumps(shown)) == shown


def test_the_package_says_that_it_is_typed() -> None:
    folder = Path(stpn_swift.__file__).parent
    assert (folder / "py.typed").exists()
    assert (folder / "_kernel.pyi").exists()


def test_the_stub_names_what_the_extension_has() -> None:
    stub = (Path(stpn_swift.__file__).parent / "_kernel.pyi").read_text()
    functions = [
        name for name in vars(_kernel) if callable(getattr(_kernel, name)) and not name.startswith("__")
    ]
    methods = [name for name in vars(_kernel.Cell) if not name.startswith("__")]
    for name in itertools.chain(functions, methods):
        assert f"def {name}(" in stub or f"class {name}:" in stub
