"""The cells in JAX: the golden cases, what each transformation gives, and what is refused."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift
from arrays import draw
from variants import CONFIGS, make

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

from stpn_swift.jax import build, ffi  # noqa: E402

stpn_jax: Any = pytest.importorskip("stpn_swift.jax")
check_grads: Any = pytest.importorskip("jax.test_util").check_grads

Array = golden.Array
B, T, I, H = 3, 5, 4, 3  # noqa: E741
KERNEL = ["ffi", "callback"]
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}


@pytest.fixture(scope="module", autouse=True)
def double() -> Iterator[None]:
    """float64 in JAX: in these tests alone."""
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", False)


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The custom calls, compiled."""
    if ffi.available():
        return ffi.path()
    compiled = tmp_path_factory.mktemp("ffi") / "ffi.so"
    try:
        build.build(compiled)
    except FileNotFoundError as error:
        pytest.skip(f"no C++ compiler: {error}")
    ffi.load(compiled)
    return compiled


@pytest.fixture(params=KERNEL)
def way(request: pytest.FixtureRequest) -> str:
    if request.param == "ffi":
        request.getfixturevalue("library")
    return str(request.param)


def in_jax(cell: stpn_swift.Cell, way: str) -> Any:
    """The same cell in JAX."""
    key = jax.random.key(0)
    same = stpn_jax.cell_from_config(cell.config, key=key, dtype=cell.dtype, backend=way)
    return same.with_params(cell.params)


def loss(cell: Any, x: Any, state: Any = None, resets: Any = None) -> Any:
    """Of all outputs."""
    y, final = cell(x, state, resets)
    return jnp.sum(jnp.sin(y)) + sum(jnp.sum(jnp.cos(array)) for array in final.values())


def close(actual: Any, expected: Any) -> None:
    """Two pytrees, as golden cases are."""
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        golden.assert_close(np.asarray(one), np.asarray(other))


# Numbers


@pytest.mark.parametrize("way", ["ffi", "scan"], indirect=True)
@pytest.mark.parametrize("name", golden.NAMES)
def test_golden(name: str, way: str) -> None:
    check_golden(name, way, "float64")


@pytest.mark.parametrize("way", ["callback"], indirect=True)
@pytest.mark.parametrize("name", golden.NAMES)
def test_golden_in_float32(name: str, way: str) -> None:
    check_golden(name, way, "float32")


def check_golden(name: str, way: str, dtype: str) -> None:
    case = golden.load(name, dtype)
    key = jax.random.key(0)
    cell = stpn_jax.cell_from_config(case.config, key=key, dtype=dtype, backend=way)
    inputs = cell.with_params(case.params), case.x, case.state

    def run(cell: Any, x: Any, state: Any) -> Any:
        y, final, energy = cell(x, state or None, case.resets, energy=True)
        return (y, final), energy

    def run_and_back(inputs: Any, cotangents: Any) -> Any:
        outputs, back, energy = jax.vjp(run, *inputs, has_aux=True)
        return outputs, energy, back(cotangents)

    compiled = jax.jit(run_and_back, compiler_options=QUICK)
    outputs, energy, (of_cell, *others) = compiled(inputs, (case.grad_y, case.grad_final))
    grads = of_cell.params, *others
    actual = jax.tree.map(np.asarray, (*outputs, energy, *grads))
    expected = case.y, case.final, case.energy, case.grad_params, case.grad_x, case.grad_state
    names = ["y", "final", "energy", "params", "x", "state"]
    one: Any
    other: Any
    for what, one, other in zip(names, actual, expected, strict=True):
        if isinstance(other, dict):
            assert one.keys() == other.keys()
            golden.assert_all_close(one, other, what)
        else:
            golden.assert_close(one, other, what)


def test_gradients_are_slopes(variant: str, way: str) -> None:
    numpy_cell = make(variant, I, H)
    data = draw(np.random.default_rng(0), numpy_cell, 2, 3)
    inputs = in_jax(numpy_cell, way), jnp.asarray(data["x"]), data["state"]
    check_grads(jax.jit(loss), inputs, order=1, modes=["rev"], eps=1e-6, atol=1e-6, rtol=1e-6)


# Transformations


@pytest.fixture
def cell(way: str) -> Any:
    return in_jax(make("stpnr", I, H), way)


@pytest.fixture
def data(cell: Any) -> dict[str, Any]:
    return draw(np.random.default_rng(1), make("stpnr", I, H), 4, T)


def each(function: Any, *stacks: Any) -> Any:
    """What vmap has to give: a loop, stacked."""
    results = [function(*(jax.tree.map(lambda a: a[i], one) for one in stacks)) for i in range(4)]  # noqa: B023
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *results)


def test_vmap_over_inputs(cell: Any, data: dict[str, Any]) -> None:
    """Unbatched sequences, with states and resets of their own, then of one state for all."""
    inputs = data["x"], data["state"], data["resets"]
    close(jax.vmap(cell)(*inputs), each(cell, *inputs))
    one = {name: jnp.asarray(array[0]) for name, array in data["state"].items()}
    close(jax.vmap(lambda x: cell(x, one))(data["x"]), each(lambda x: cell(x, one), data["x"]))
    nested = data["x"].reshape(2, 2, T, I)
    close(jax.vmap(jax.vmap(cell))(nested)[0].reshape(4, T, H), cell(data["x"])[0])


@pytest.mark.parametrize("variant", ["stpnr all at once", "hebbff", "fast weights", "modul"])
def test_vmap_of_any_cell(variant: str) -> None:
    """Whatever the shapes of its parameters, which nobody maps."""
    numpy_cell = make(variant, I, H)
    x = draw(np.random.default_rng(1), numpy_cell, 4, T)["x"]
    cell = in_jax(numpy_cell, "callback")
    close(jax.vmap(cell)(x), cell(x))
    assert jax.vmap(cell)(x[:0])[0].shape == (0, T, H)


def test_the_gradient_of_a_vmap(cell: Any, data: dict[str, Any]) -> None:
    """Summed over the samples; and the gradients of each."""

    def total(cell: Any) -> Any:
        return jax.vmap(lambda x, state: loss(cell, x, state))(data["x"], data["state"]).sum()

    expected = each(lambda x, state: jax.grad(loss)(cell, x, state), data["x"], data["state"])
    close(jax.vmap(jax.grad(loss), in_axes=(None, 0, 0))(cell, data["x"], data["state"]), expected)
    summed = jax.tree.map(lambda array: array.sum(0), expected)
    close(jax.grad(total)(cell), summed)
    close(jax.jit(jax.grad(total))(cell), summed)


def test_the_gradient_of_a_vmap_goes_back_once(library: Path) -> None:
    cell = in_jax(make("stpnr", I, H), "ffi")
    program = jax.make_jaxpr(jax.grad(lambda cell, xs: jax.vmap(cell)(xs)[0].sum()))(
        cell, jnp.ones((7, T, I))
    )
    assert str(program).count("stpn_backward") == 1 and "while" not in str(program)
    assert "scan" not in str(program)


def test_vmap_over_parameters(way: str, data: dict[str, Any]) -> None:
    """An ensemble, drawn and trained at once."""
    keys = jax.random.split(jax.random.key(3), 4)

    def drawn(key: Any) -> Any:
        return stpn_jax.STPNR(I, H, key=key, dtype="float64", backend=way)

    ensemble = jax.vmap(drawn)(keys)
    close(
        jax.vmap(loss, in_axes=(0, None))(ensemble, data["x"]), each(lambda c: loss(c, data["x"]), ensemble)
    )
    gradient = jax.vmap(jax.grad(loss), in_axes=(0, None))(ensemble, data["x"])
    close(gradient, each(lambda c: jax.grad(loss)(c, data["x"]), ensemble))


def test_several_cotangents(cell: Any, data: dict[str, Any]) -> None:
    """jacrev: one forward pass, many backward ones."""
    jacobian = jax.jacrev(lambda x: cell(x)[0][:, -1])(jnp.asarray(data["x"]))
    expected = jax.grad(lambda x: cell(x)[0][2, -1, 1])(jnp.asarray(data["x"]))
    close(jacobian[2, 1], expected)


def test_inside_scan_checkpoint_and_jit(cell: Any, data: dict[str, Any]) -> None:
    """A rollout by steps gives the sequence, and its gradient."""

    def rolled(cell: Any, x: Any) -> Any:
        def step(state: Any, x_t: Any) -> Any:
            y, state = cell.step(x_t, state)
            return state, y

        final, y = jax.lax.scan(jax.checkpoint(step), data["state"], x.swapaxes(0, 1))
        return jnp.sum(jnp.sin(y)) + sum(jnp.sum(jnp.cos(array)) for array in final.values())

    x = jnp.asarray(data["x"])
    expected = jax.value_and_grad(loss, argnums=(0, 1))(cell, x, data["state"])
    close(jax.jit(jax.value_and_grad(rolled, argnums=(0, 1)))(cell, x), expected)


def test_what_needs_no_gradient_gets_none(cell: Any, data: dict[str, Any]) -> None:
    program = str(jax.make_jaxpr(jax.grad(loss))(cell, jnp.asarray(data["x"])))
    (line,) = (line for line in program.splitlines() if "= stpn_backward" in line)
    assert len(line.partition("=")[0].split()) == len(cell.params)


def test_no_steps_and_no_samples(cell: Any) -> None:
    for shape in ((0, T, I), (B, 0, I)):
        y, final = cell(jnp.zeros(shape))
        assert y.shape == (*shape[:2], H) and final["h"].shape == (shape[0], H)
        assert not any(gradient.any() for gradient in jax.grad(loss)(cell, jnp.zeros(shape)).params.values())


def test_the_kernel_gives_the_bits_of_numpy(library: Path, variant: str) -> None:
    numpy_cell = make(variant, I, H, dtype="float32")
    data = draw(np.random.default_rng(2), numpy_cell, B, T)
    y, final = numpy_cell(data["x"], data["state"], data["resets"])
    for way in ("ffi", "callback"):
        actual = in_jax(numpy_cell, way)(data["x"], data["state"], data["resets"])
        assert np.array_equal(actual[0], y)
        assert all(np.array_equal(actual[1][name], final[name]) for name in final)


def test_a_call_of_many_pages(library: Path) -> None:
    """Whose memory is asked for in large ones."""
    numpy_cell = make("stpnr", 20, 64, dtype="float32")
    data = draw(np.random.default_rng(3), numpy_cell, 256, 4)
    y, final, tape = numpy_cell.forward(data["x"])
    assert final["F"].nbytes > 2 * 2**21
    outputs, back = jax.vjp(in_jax(numpy_cell, "ffi"), data["x"])
    close(outputs, (y, final))
    expected = numpy_cell.backward(tape, data["grad_y"], data["grad_state"])
    close(back((data["grad_y"], data["grad_state"]))[0], expected.x)


@pytest.mark.parametrize("way", [*KERNEL, "scan"], indirect=True)
def test_shards_of_a_batch(way: str, request: pytest.FixtureRequest) -> None:
    script = Path(__file__).with_name("shards.py")
    libraries = [request.getfixturevalue("library")] if way == "ffi" else []
    result = subprocess.run(
        [sys.executable, script, way, *libraries], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_threads_and_implementation(cell: Any, data: dict[str, Any]) -> None:
    plain = replace(cell, threads=1, implementation="plain")
    close(plain(data["x"]), cell(data["x"]))


# Export


@pytest.mark.parametrize("way", ["ffi", "scan"], indirect=True)
def test_a_program_for_any_batch_and_time(cell: Any, data: dict[str, Any]) -> None:
    """As docs/jax.md says; with a state and resets, and from zeros."""
    export: Any = pytest.importorskip("jax.export")
    b, t = export.symbolic_shape("b, t")
    symbols = {
        name: jax.ShapeDtypeStruct((b, *array.shape[1:]), array.dtype)
        for name, array in cell.initial_state(1).items()
    }
    inputs = (
        jax.ShapeDtypeStruct((b, t, I), np.float64),
        symbols,
        jax.ShapeDtypeStruct((b, t), data["resets"].dtype),
    )
    ours = [export.DisabledSafetyCheck.custom_call(ffi.FORWARD)]

    def run(*inputs: Any) -> Any:
        return cell(*inputs, energy=True)

    for count in (1, 3):
        program = export.export(jax.jit(run), disabled_checks=ours)(*inputs[:count])
        for batch, time in ((4, T), (2, 3), (1, 1)):
            state = {name: array[:batch] for name, array in data["state"].items()}
            actual = data["x"][:batch, :time], state, data["resets"][:batch, :time]
            close(program.call(*actual[:count]), run(*actual[:count]))


def test_a_program_in_a_file(library: Path, tmp_path: Path) -> None:
    """A process that has imported the package calls it, with no cell in it."""
    pytest.importorskip("flatbuffers", reason="jax.export writes files by flatbuffers")
    export: Any = pytest.importorskip("jax.export")
    cell = in_jax(make("stpnr", I, H), "ffi")
    x = np.random.default_rng(0).standard_normal((B, T, I))
    ours = [export.DisabledSafetyCheck.custom_call(ffi.FORWARD)]
    program = export.export(jax.jit(lambda x: cell(x)[0]), disabled_checks=ours)(x)
    (tmp_path / "program").write_bytes(program.serialize())
    np.save(tmp_path / "x.npy", x)
    package = shutil.copytree(Path(stpn_jax.__file__).parents[1], tmp_path / "stpn_swift")
    shutil.copy(library, package / "jax" / ffi.path().name)
    script = """if True:
        import jax, numpy, pathlib, stpn_swift.jax
        from jax import export
        jax.config.update("jax_enable_x64", True)
        program = export.deserialize(bytearray(pathlib.Path("program").read_bytes()))
        numpy.save("y.npy", program.call(numpy.load("x.npy")))
    """
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    close(np.load(tmp_path / "y.npy"), cell(x)[0])


def test_symbols_that_the_kernel_does_not_take(library: Path) -> None:
    export: Any = pytest.importorskip("jax.export")
    x = jax.ShapeDtypeStruct((*export.symbolic_shape("b, t"), I), np.float64)
    called_back, cell, slow = (in_jax(make("stpnr", I, H), way) for way in ("callback", "ffi", "scan"))

    def gradient(x: Any) -> Any:
        return jax.grad(loss, 1)(cell, x)

    for function in (called_back, gradient):
        with pytest.raises(ValueError, match=r'x: expected .* numbers, got \(b, t\)\. .*backend="scan"'):
            export.export(jax.jit(lambda x, function=function: function(x)))(x)
    program = export.export(jax.jit(lambda x: jax.grad(loss, 1)(slow, x)))(x)
    ones = np.ones((2, 3, I))
    close(program.call(ones), gradient(ones))


# Cells as pytrees


def test_parameters_are_the_leaves() -> None:
    for name, config in CONFIGS.items():
        sizes = {"input_size": I, "hidden_size": H}
        cell = stpn_jax.cell_from_config(config | sizes, key=jax.random.key(0))
        assert cell.config == make(name, I, H).config
        assert len(jax.tree.leaves(cell)) == len(cell.params)
        again = jax.tree.map(lambda array: array, cell)
        assert again.options == cell.options and again.params.keys() == cell.params.keys()


def test_initial_parameters_have_their_range() -> None:
    cell = stpn_jax.STPNR(50, 40, key=jax.random.key(1), dtype="float32")
    numpy_cell = stpn_swift.STPNR(50, 40)
    for name, low, high in [(name, low, high) for name, _, low, high in numpy_cell._kernel.parameters]:
        array = np.asarray(cell.params[name])
        assert array.dtype == np.float32 and low <= array.min() and array.max() <= high
        assert np.ptp(array) > 0.8 * (high - low)
    other = stpn_jax.STPNR(50, 40, key=jax.random.key(2))
    assert not np.array_equal(other.params["bias"], cell.params["bias"])


# What is refused


def test_derivatives_that_the_kernel_has_not(cell: Any, data: dict[str, Any]) -> None:
    x = jnp.asarray(data["x"])
    for forward_mode in (jax.jacfwd(cell), jax.jit(jax.jacfwd(cell)), lambda x: jax.jvp(cell, (x,), (x,))):
        with pytest.raises(TypeError, match=r'jvp.*grad.*backend="scan"'):
            forward_mode(x)
    with pytest.raises(TypeError, match=r'differentiated again.*backend="scan"'):
        jax.grad(lambda x: jnp.sum(jax.grad(loss, 1)(cell, x) ** 2))(x)


@pytest.mark.parametrize("way", ["scan"], indirect=True)
def test_scan_has_every_derivative(cell: Any, data: dict[str, Any]) -> None:
    check_grads(jax.jit(lambda x: loss(cell, x)), (jnp.asarray(data["x"][:1, :2]),), order=2, rtol=1e-4)


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "dtype": (lambda c, x: c(x.astype("float32")), TypeError, "x: expected float64, got float32"),
    "list": (lambda c, x: c(x[0], {"h": [0.0] * H}), ValueError, "state: expected the entries"),
    "state of one sample": (
        lambda c, x: c(x[0], {name: np.asarray(a[0], np.float32) for name, a in c.initial_state(1).items()}),
        TypeError,
        r"state\['.*'\]: expected float64, got float32",
    ),
    "shape of one sample": (
        lambda c, x: c(x[0, :, 1:]),
        ValueError,
        r"x: expected shape \(B, T, 4\) .*, got \(5, 3\)",
    ),
    "batched state of one sample": (
        lambda c, x: c(x[0], c.initial_state(1)),
        ValueError,
        r"state\['h'\]: expected shape \(3,\), got \(1, 3\)",
    ),
    "resets of one sample": (
        lambda c, x: c(x[0], None, np.zeros(T + 1, bool)),
        ValueError,
        r"resets: expected shape \(5,\), got \(6,\)",
    ),
    "a sequence for a step": (
        lambda c, x: c.step(x, c.initial_state(4)),
        ValueError,
        r"x_t: expected shape \(B, 4\) or one without B, got \(4, 5, 4\)",
    ),
    "lists": (lambda c, x: c(x[0], None, [0] * T), TypeError, "resets: expected an array, got list"),
    "implementation": (
        lambda c, x: replace(c, implementation="fast")(x),
        ValueError,
        "implementation: expected None or one of .*, got 'fast'",
    ),
    "no params": (lambda c, x: c.with_params([x]), TypeError, "params: expected a dict of arrays, got list"),
    "shape": (lambda c, x: c(x[..., 1:]), ValueError, r"x: expected shape \(B, T, 4\) .*, got \(4, 5, 3\)"),
    "entries": (lambda c, x: c(x, {"h": x}), ValueError, r"state: expected the entries .*, got \('h',\)"),
    "state": (
        lambda c, x: c(x, c.initial_state(2)),
        ValueError,
        r"state\['.*'\]: expected shape \(4, .*, got \(2, ",
    ),
    "no dict": (lambda c, x: c(x, [x]), TypeError, "state: expected a dict of arrays, got list"),
    "resets": (lambda c, x: c(x, None, x[..., 0]), TypeError, "resets: expected bool or uint8, got float64"),
    "params": (lambda c, x: c.with_params({}), ValueError, r"params: expected the entries .*, got \(\)"),
    "emptied": (
        lambda c, x: replace(c, params={})(x),
        ValueError,
        r"params: expected the entries .*, got \(\)",
    ),
    "taken": (lambda c, x: replace(c, params=None).initial_state(2), TypeError, "params: .*, got NoneType"),
    "None": (
        lambda c, x: c.with_params({"weight": None}),
        TypeError,
        r"params\['weight'\]: expected an array, got NoneType",
    ),
    "threads": (lambda c, x: replace(c, threads=-1)(x), ValueError, "threads: expected 0 or more.*, got -1"),
    "many": (
        lambda c, x: replace(c, threads=2**40)(x),
        ValueError,
        "threads: .*in 32 bits, got 1099511627776",
    ),
    "half": (lambda c, x: replace(c, threads=1.5)(x), TypeError, "threads: expected an integer, got float"),
    "backend": (lambda c, x: replace(c, backend="gpu")(x), ValueError, "backend: expected one of"),
    "config": (
        lambda c, x: stpn_jax.cell_from_config({**c.config, "backend": "scan"}, key=jax.random.key(0)),
        TypeError,
        "config: expected options of the cell, got 'backend'",
    ),
    "option": (lambda c, x: stpn_jax.STPNR(2, 3, key=None, clmp=1), TypeError, "clmp: expected"),
}


@pytest.mark.parametrize("what", REFUSED)
@pytest.mark.parametrize("way", ["callback"], indirect=True)
def test_errors(what: str, cell: Any, data: dict[str, Any]) -> None:
    call, error, message = REFUSED[what]
    with pytest.raises(error, match=message):
        call(cell, data["x"])


def test_float64_without_x64() -> None:
    jax.config.update("jax_enable_x64", False)
    try:
        with pytest.raises(ValueError, match=r"dtype: float64 needs .*jax_enable_x64"):
            stpn_jax.STPNR(I, H, key=jax.random.key(0), dtype="float64")
        cell = stpn_jax.STPNR(I, H, key=jax.random.key(0))
        assert cell.params["weight"].dtype == "float32"
        with pytest.raises(ValueError, match=r"params\['weight'\]: float64 needs"):
            cell.with_params(make("stpnr", I, H).params)
        with pytest.raises(TypeError, match="x: expected float32, got float64"):
            cell(np.zeros((B, T, I)))
    finally:
        jax.config.update("jax_enable_x64", True)


def test_the_build_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(build, "path", lambda: tmp_path / "ffi.so")
    with pytest.raises(SystemExit, match=r"stpn_swift\.jax\.build: .*no-such-compiler"):
        build.main()
    assert [*tmp_path.iterdir()] == []


def test_an_import_of_the_package_loads_no_jax() -> None:
    program = "import stpn_swift, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
