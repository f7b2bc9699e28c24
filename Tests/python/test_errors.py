"""Bad input: one row each, with the exception and a pattern that its message matches.

A message names the argument, what was expected and what came. A refused call writes nothing.
"""

import copy
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from test_api import unaligned

import stpn_swift
from stpn_swift import STPNR, _kernel

B, T, I, H, K = 3, 6, 4, 5, 9  # noqa: E741


class Bench:
    """A cell with good arguments for all of its calls, to be spoiled one at a time."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.cell: Any = STPNR(I, H, seed=1)
        self.x = random.normal(size=(B, T, I)).astype(np.float32)
        self.x_t = self.x[:, 0].copy()
        self.state = {name: array + np.float32(0.1) for name, array in self.cell.initial_state(B).items()}
        self.resets = np.zeros((B, T), bool)
        self.out = np.zeros((B, H), np.float32)
        _, _, self.tape = self.cell.forward(self.x, self.state)
        self.grad_y = np.ones((B, T, H), np.float32)

    def forward(self, **changed: Any) -> None:
        self.cell.forward(**{"x": self.x, "state": self.state, "resets": self.resets} | changed)

    def with_params(self, **changed: Any) -> None:
        self.cell.params.update(changed)
        self.forward()

    def backward(self, **changed: Any) -> None:
        self.cell.backward(**{"tape": self.tape, "grad_y": self.grad_y, "grad_state": self.state} | changed)

    def step(self, **changed: Any) -> None:
        arguments = {"x_t": self.x_t, "state": self.state, "out": self.out} | changed
        before = copy.deepcopy((arguments["state"], arguments["out"]))
        try:
            self.cell.step(**arguments)
        finally:
            np.testing.assert_equal((arguments["state"], arguments["out"]), before)


Row = tuple[str, Callable[[Bench], object], type[Exception], str]


def read_only(array: Any) -> Any:
    array = array.copy()
    array.flags.writeable = False
    return array


def strided(array: Any) -> Any:
    return np.repeat(array, 2, axis=-1)[..., ::2]


def use_twice(b: Bench) -> None:
    b.backward()
    b.backward()


def overlapping_states(b: Bench) -> dict[str, Any]:
    memory = np.zeros(B * H * K, np.float32)
    return {"h": memory[: B * H].reshape(B, H), "F": memory.reshape(B, H, K)}


def out_holds_bias(b: Bench) -> None:
    b.cell.params["bias"] = b.out[0]
    b.step()


def set_on_cell(b: Bench, attribute: str, value: Any) -> None:
    setattr(b.cell, attribute, value)
    b.forward()


FLOAT = r"expected float32, got "
ELEMENTS: list[tuple[str, str]] = [
    ("<f8", "float64"),
    (">f4", "big-endian float32"),
    (">f8", "big-endian float64"),
    ("f2", "float16"),
    ("g", r"float\d+"),
    ("i4", "int32"),
    (">i4", "big-endian int32"),
    ("i8", "int64"),
    ("u1", "uint8"),
    ("?", "bool"),
    ("c8", "complex64"),
    ("c16", "complex128"),
    ("O", "object"),
    ("S4", "elements of format '4s'"),
    ("U4", "elements of format '4w'"),
    ("i4,f4", "elements of format 'T{"),
]

SEQUENCE_ROWS: list[Row] = [
    ("rank 2", lambda b: b.forward(x=b.x_t), ValueError, r"x: expected shape \(B, T, 4\), got \(3, 4\)"),
    ("rank 0", lambda b: b.forward(x=np.float32(1)), ValueError, r"x: expected shape \(B, T, 4\), got \(\)"),
    (
        "rank 64",
        lambda b: b.forward(x=np.zeros((1,) * 64, np.float32)),
        ValueError,
        r"x: expected shape \(B, T, 4\)",
    ),
    (
        "width",
        lambda b: b.forward(x=b.x[..., 1:]),
        ValueError,
        r"x: expected shape \(B, T, 4\), got \(3, 6, 3\)",
    ),
    ("None", lambda b: b.forward(x=None), TypeError, "x: expected an array, got NoneType"),
    ("list", lambda b: b.forward(x=b.x.tolist()), TypeError, "x: expected an array, got list"),
    ("bytes", lambda b: b.forward(x=b.x.tobytes()), TypeError, "x: expected float32, got uint8"),
    (
        "dates",
        lambda b: b.forward(x=b.x.astype("M8[s]")),
        TypeError,
        "x: expected an array of float32, got one that",
    ),
    ("inference", lambda b: b.cell(b.x_t), ValueError, r"x: expected shape \(B, T, 4\)"),
    (
        "state list",
        lambda b: b.forward(state=[b.out]),
        TypeError,
        "state: expected a dict of arrays, got list",
    ),
    (
        "no F",
        lambda b: b.forward(state={"h": b.out}),
        ValueError,
        r"state: expected the entries \('h', 'F'\), got \('h',\)",
    ),
    (
        "E",
        lambda b: b.forward(state=b.state | {"E": b.out}),
        ValueError,
        r"expected the entries \('h', 'F'\), got \('h', 'F', 'E'\)",
    ),
    (
        "no h",
        lambda b: b.forward(state=b.state | {"h": None}),
        TypeError,
        r"state\['h'\]: expected an array, got NoneType",
    ),
    (
        "batch",
        lambda b: b.forward(state=b.cell.initial_state(2)),
        ValueError,
        r"state\['h'\]: expected shape \(3, 5\), got \(2, 5\)",
    ),
    (
        "other cell",
        lambda b: b.forward(state=STPNR(3, H).initial_state(B)),
        ValueError,
        r"state\['F'\]: expected shape \(3, 5, 9\), got \(3, 5, 8\)",
    ),
    (
        "other dtype",
        lambda b: b.forward(state=STPNR(I, H, dtype="float64").initial_state(B)),
        TypeError,
        r"state\['h'\]: expected float32, got float64",
    ),
    (
        "resets shape",
        lambda b: b.forward(resets=b.resets[:, 1:]),
        ValueError,
        r"resets: expected shape \(3, 6\), got \(3, 5\)",
    ),
    (
        "resets float",
        lambda b: b.forward(resets=b.x[..., 0]),
        TypeError,
        "resets: expected bool or uint8, got float32",
    ),
    (
        "resets int",
        lambda b: b.forward(resets=b.resets.astype(int)),
        TypeError,
        "resets: expected bool or uint8, got int64",
    ),
    (
        "params list",
        lambda b: set_on_cell(b, "params", [b.x]),
        TypeError,
        "params: expected a dict of arrays, got list",
    ),
    (
        "params missing",
        lambda b: set_on_cell(b, "params", {}),
        ValueError,
        r"params: expected the entries \('weight', 'bias', .*, got \(\)",
    ),
    (
        "params shape",
        lambda b: b.with_params(bias=b.out),
        ValueError,
        r"params\['bias'\]: expected shape \(5,\), got \(3, 5\)",
    ),
    (
        "params dtype",
        lambda b: b.with_params(weight=np.zeros((H, K))),
        TypeError,
        r"params\['weight'\]: expected float32, got float64",
    ),
    (
        "params None",
        lambda b: b.with_params(weight=None),
        TypeError,
        r"params\['weight'\]: expected an array, got NoneType",
    ),
    (
        "params more",
        lambda b: b.with_params(gain=b.out),
        ValueError,
        r"params: expected the entries .*'gain'",
    ),
    ("threads", lambda b: set_on_cell(b, "threads", -1), ValueError, "threads: expected 0 or more, got -1"),
    (
        "threads text",
        lambda b: set_on_cell(b, "threads", "2"),
        TypeError,
        "threads: expected an integer, got str",
    ),
    (
        "threads large",
        lambda b: set_on_cell(b, "threads", 2**40),
        ValueError,
        "threads: expected an integer of 32 bits",
    ),
    (
        "threads larger",
        lambda b: set_on_cell(b, "threads", 10**5000),
        ValueError,
        "threads: expected an integer of 64 bits",
    ),
    (
        "implementation",
        lambda b: set_on_cell(b, "implementation", "fast"),
        ValueError,
        r"implementation: expected None or one of \['plain', .*, got 'fast'",
    ),
    (
        "implementation 1",
        lambda b: set_on_cell(b, "implementation", 1),
        TypeError,
        "implementation: expected a string or None, got int",
    ),
]

BACKWARD_ROWS: list[Row] = [
    ("no tape", lambda b: b.backward(tape=b.x), TypeError, "tape: expected a Tape, got ndarray"),
    ("used twice", use_twice, ValueError, "tape: expected one that was not used"),
    (
        "other cell",
        lambda b: STPNR(I, H, seed=1).backward(b.tape, b.grad_y),
        ValueError,
        "tape: .* got one of another cell",
    ),
    (
        "copied cell",
        lambda b: copy.deepcopy(b.cell).backward(b.tape, b.grad_y),
        ValueError,
        "tape: .* got one of another cell",
    ),
    (
        "shape",
        lambda b: b.backward(grad_y=b.grad_y[1:]),
        ValueError,
        r"grad_y: expected shape \(3, 6, 5\), got \(2, 6, 5\)",
    ),
    (
        "dtype",
        lambda b: b.backward(grad_y=b.grad_y.astype(float)),
        TypeError,
        "grad_y: expected float32, got float64",
    ),
    (
        "big-endian",
        lambda b: b.backward(grad_y=b.grad_y.astype(">f4")),
        TypeError,
        "grad_y: expected float32, got big-endian float32",
    ),
    ("number", lambda b: b.backward(grad_y=1.0), TypeError, "grad_y: expected an array, got float"),
    (
        "state list",
        lambda b: b.backward(grad_state=[1]),
        TypeError,
        "grad_state: expected a dict of arrays, got list",
    ),
    (
        "state E",
        lambda b: b.backward(grad_state={"E": b.out}),
        ValueError,
        r"grad_state: expected the entries \('h', 'F'\), got \('E',\)",
    ),
    (
        "state shape",
        lambda b: b.backward(grad_state={"h": b.out[1:]}),
        ValueError,
        r"grad_state\['h'\]: expected shape \(3, 5\), got \(2, 5\)",
    ),
    (
        "state dtype",
        lambda b: b.backward(grad_state={"h": b.out.astype(int)}),
        TypeError,
        r"grad_state\['h'\]: expected float32, got int64",
    ),
]

STEP_ROWS: list[Row] = [
    ("x_t rank", lambda b: b.step(x_t=b.x), ValueError, r"x_t: expected shape \(B, 4\), got \(3, 6, 4\)"),
    ("x_t rank, new y", lambda b: b.step(x_t=b.x, out=None), ValueError, r"x_t: expected shape \(B, 4\)"),
    ("x_t dtype", lambda b: b.step(x_t=b.x_t.astype(float)), TypeError, "x_t: expected float32, got float64"),
    ("x_t None", lambda b: b.step(x_t=None, out=None), TypeError, "x_t: expected an array, got NoneType"),
    ("no state", lambda b: b.step(state=None), TypeError, "state: expected a dict of arrays, got NoneType"),
    (
        "state entry",
        lambda b: b.step(state={"F": b.state["F"]}),
        ValueError,
        r"state: expected the entries \('h', 'F'\)",
    ),
    (
        "state dtype",
        lambda b: b.step(state={k: a.astype(float) for k, a in b.state.items()}),
        TypeError,
        r"state\['h'\]: expected float32, got float64",
    ),
    (
        "state big-endian",
        lambda b: b.step(state={k: a.astype(">f4") for k, a in b.state.items()}),
        TypeError,
        r"state\['h'\]: expected float32, got big-endian",
    ),
    (
        "state batch",
        lambda b: b.step(state={k: a[1:] for k, a in b.state.items()}),
        ValueError,
        r"state\['h'\]: expected shape \(3, 5\), got \(2, 5\)",
    ),
    (
        "state read-only",
        lambda b: b.step(state=b.state | {"F": read_only(b.state["F"])}),
        ValueError,
        r"state\['F'\]: expected a writable array, got a read-only",
    ),
    (
        "state strided",
        lambda b: b.step(state=b.state | {"F": strided(b.state["F"])}),
        ValueError,
        r"state\['F'\]: expected a C-contiguous array, got a strided",
    ),
    (
        "state Fortran",
        lambda b: b.step(state=b.state | {"h": np.asfortranarray(b.state["h"])}),
        ValueError,
        r"state\['h'\]: expected a C-contiguous array",
    ),
    (
        "state unaligned",
        lambda b: b.step(state=b.state | {"h": unaligned(b.state["h"])}),
        ValueError,
        r"state\['h'\]: expected an aligned array",
    ),
    (
        "states overlap",
        lambda b: b.step(state=overlapping_states(b)),
        ValueError,
        r"state\[h\]: expected memory of its own, overlaps state\[F\]",
    ),
    ("out shape", lambda b: b.step(out=b.out[1:]), ValueError, r"out: expected shape \(3, 5\), got \(2, 5\)"),
    ("out dtype", lambda b: b.step(out=b.out.astype(float)), TypeError, "out: expected float32, got float64"),
    ("out list", lambda b: b.step(out=b.out.tolist()), TypeError, "out: expected an array, got list"),
    (
        "out read-only",
        lambda b: b.step(out=read_only(b.out)),
        ValueError,
        "out: expected a writable array, got a read-only",
    ),
    (
        "out strided",
        lambda b: b.step(out=strided(b.out)),
        ValueError,
        "out: expected a C-contiguous array, got a strided",
    ),
    ("out unaligned", lambda b: b.step(out=unaligned(b.out)), ValueError, "out: expected an aligned array"),
    (
        "out is state",
        lambda b: b.step(out=b.state["h"]),
        ValueError,
        r"expected memory of its own, overlaps state\[h\]",
    ),
    ("out holds bias", out_holds_bias, ValueError, r"memory of its own, overlaps parameters\[bias\]"),
]

SIZE_ROWS: list[Row] = [
    (
        f"{name} {value!r}",
        lambda b, name=name, value=value: STPNR(**{"input_size": I, "hidden_size": H} | {name: value}),
        error,
        f"{name}: {pattern}",
    )  # type: ignore[misc]
    for name in ("input_size", "hidden_size")
    for value, error, pattern in [
        (0, ValueError, "expected 1 or more, got 0"),
        (-1, ValueError, "expected 1 or more, got -1"),
        (3.5, ValueError, "expected a whole number"),
        (float("nan"), ValueError, "expected a whole number"),
        (float("inf"), ValueError, "expected a whole number"),
        (2**70, ValueError, "expected a whole number of 64 bits"),
        (10**400, ValueError, "too large"),
        ("3", ValueError, "expected a number, got a name"),
        (None, ValueError, "expected a number, got None"),
        ([3], TypeError, r"expected a number, a string or None, got \[3\]"),
    ]
]

OPTION_ROWS: list[Row] = [
    ("sizes", lambda b: STPNR(2**40, 2**40), ValueError, "hidden_size: .* exceed the address space"),
    (
        "normalize",
        lambda b: STPNR(I, H, normalize="l2"),
        ValueError,
        'normalize: expected one of "output", "pre", "post", None, got "l2"',
    ),  # type: ignore[arg-type]
    (
        "normalize 1",
        lambda b: STPNR(I, H, normalize=1),
        ValueError,
        "normalize: expected a name, got a number",
    ),  # type: ignore[arg-type]
    ("clamp -1", lambda b: STPNR(I, H, clamp=-1), ValueError, "clamp: expected 0 or more"),
    ("clamp nan", lambda b: STPNR(I, H, clamp=float("nan")), ValueError, "clamp: expected 0 or more"),
    (
        "clamp name",
        lambda b: STPNR(I, H, clamp="x"),
        ValueError,
        "clamp: expected a number or None, got a name",
    ),  # type: ignore[arg-type]
    (
        "clamp array",
        lambda b: STPNR(I, H, clamp=b.x),
        TypeError,
        "clamp: expected a number, a string or None",
    ),
    ("bias 2", lambda b: STPNR(I, H, bias=2), ValueError, "bias: expected 0 or 1, got 2"),  # type: ignore[arg-type]
    ("bias None", lambda b: STPNR(I, H, bias=None), ValueError, "bias: expected a number, got None"),  # type: ignore[arg-type]
    (
        "dtype float16",
        lambda b: STPNR(I, H, dtype="float16"),
        ValueError,
        'dtype: expected one of "float32", "float64", got "float16"',
    ),
    (
        "dtype int",
        lambda b: STPNR(I, H, dtype=np.int32),
        ValueError,
        'dtype: expected one of "float32", "float64", got "int32"',
    ),
    (
        "dtype big-endian",
        lambda b: STPNR(I, H, dtype=np.dtype(">f4")),
        ValueError,
        'dtype: expected one of "float32", "float64", got ">f4"',
    ),
    ("dtype None", lambda b: STPNR(I, H, dtype=None), ValueError, "dtype: expected one of"),
    ("unknown", lambda b: STPNR(I, H, gain=1), TypeError, "gain"),  # type: ignore[call-arg]
    (
        "kernel option",
        lambda b: _kernel.Cell({"cell": "stpn", "gain": 1}, "float32"),
        ValueError,
        "gain: this cell has no such option",
    ),
    (
        "kernel cell",
        lambda b: _kernel.Cell({"cell": "lstm"}, "float32"),
        ValueError,
        'cell: expected one of "stpn", got "lstm"',
    ),
    (
        "kernel no cell",
        lambda b: _kernel.Cell({}, "float32"),
        ValueError,
        "cell: expected the name of a cell",
    ),
    (
        "kernel key",
        lambda b: _kernel.Cell({"cell": "stpn", 1: 2}, "float32"),
        TypeError,
        "config: expected the name of an option, got 1",
    ),  # type: ignore[dict-item]
    (
        "kernel surrogate",
        lambda b: _kernel.Cell({"cell": "stpn", "normalize": "\ud800"}, "float32"),
        ValueError,
        "surrogates not allowed",
    ),
    ("batch", lambda b: b.cell.initial_state(-1), ValueError, "batch: expected 0 or more, got -1"),
    ("batch large", lambda b: b.cell.initial_state(2**60), ValueError, "batch: .* exceeds the address space"),
    (
        "batch larger",
        lambda b: b.cell.initial_state(2**70),
        ValueError,
        "batch: expected an integer of 64 bits",
    ),
    ("batch float", lambda b: b.cell.initial_state(1.5), TypeError, "batch: expected an integer, got float"),
    ("threads 0", lambda b: stpn_swift.set_num_threads(0), ValueError, "threads: "),
    ("threads 1025", lambda b: stpn_swift.set_num_threads(1025), ValueError, "threads: "),
    (
        "threads float",
        lambda b: stpn_swift.set_num_threads(1.5),
        TypeError,
        "threads: expected an integer, got float",
    ),  # type: ignore[arg-type]
    (
        "threads large",
        lambda b: stpn_swift.set_num_threads(2**32 + 1),
        ValueError,
        "threads: expected an integer of 32 bits",
    ),
    ("show_config", lambda b: stpn_swift.show_config("json"), ValueError, "mode: expected .* got 'json'"),  # type: ignore[call-overload]
]


def arrays(b: Bench, tape: Any) -> tuple[Any, ...]:
    """The arguments of _kernel.Cell.forward with a tape of the caller's."""
    y = np.empty((B, T, H), np.float32)
    return (y, None, b.x, b.cell.params, None, None, tape, 0, None)


KERNEL_ROWS: list[Row] = [
    ("too few", lambda b: b.cell._kernel.step(b.x_t), TypeError, r"step\(\) takes 6 arguments, got 1"),
    (
        "no y",
        lambda b: b.cell._kernel.forward(None, *arrays(b, None)[1:]),
        TypeError,
        "y: expected an array, got NoneType",
    ),
    (
        "short tape",
        lambda b: b.cell._kernel.forward(*arrays(b, np.empty(8, np.uint8))),
        ValueError,
        "tape_size: expected .* got 8",
    ),
    (
        "tape type",
        lambda b: b.cell._kernel.forward(*arrays(b, np.empty(9999))),
        TypeError,
        "tape: expected uint8, got float64",
    ),
    (
        "blank tape",
        lambda b: b.cell._kernel.backward(
            None, None, None, None, None, np.zeros(10**5, np.uint8), B, T, 0, None
        ),
        ValueError,
        "tape: expected the tape of this cell",
    ),
    (
        "negative",
        lambda b: b.cell._kernel.backward(
            None, None, None, None, None, np.zeros(9, np.uint8), -1, T, 0, None
        ),
        ValueError,
        "batch: expected 0 or more",
    ),
    (
        "enormous",
        lambda b: b.cell._kernel.tape_size(2**31, 2**31, None),
        ValueError,
        "exceeds the address space",
    ),
]

ROWS = {
    f"{group}: {row[0]}": row
    for group, rows in {
        "forward": SEQUENCE_ROWS,
        "backward": BACKWARD_ROWS,
        "step": STEP_ROWS,
        "cell": SIZE_ROWS + OPTION_ROWS,
        "kernel": KERNEL_ROWS,
    }.items()
    for row in rows
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_bad_input_is_refused(row: Row) -> None:
    _, call, error, pattern = row
    with pytest.raises(error, match=pattern):
        call(Bench())


@pytest.mark.parametrize(("element", "name"), ELEMENTS, ids=[element for element, _ in ELEMENTS])
def test_other_elements_are_refused(element: str, name: str) -> None:
    b = Bench()
    array = np.zeros((B, T, I), element)
    with pytest.raises(TypeError, match=f"x: {FLOAT}{name}"):
        b.forward(x=array)


def test_too_little_memory_is_a_memory_error() -> None:
    program = """
        import resource
        import numpy as np
        import stpn_swift

        cell = stpn_swift.STPNR(1000, 2)
        x = np.broadcast_to(np.float32(1), (2000, 400, 1000))
        limit = 2**30 + sum(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if "VmSize" in line)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            cell(x)
        except MemoryError:
            print("refused")
        print(cell(x[:1])[0].shape)
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split("\n")[:2] == ["refused", "(1, 400, 2)"]


def test_refused_calls_hold_no_references() -> None:
    b = Bench()
    good = sys.getrefcount(b.x), sys.getrefcount(b.state["F"]), sys.getrefcount(b.cell.params["weight"])
    for _ in range(100):
        with pytest.raises(ValueError, match="resets"):
            b.forward(resets=b.resets[1:])
        b.forward()
    now = sys.getrefcount(b.x), sys.getrefcount(b.state["F"]), sys.getrefcount(b.cell.params["weight"])
    assert now == good
    b.x.resize((B * T, I), refcheck=False)  # refused while a buffer is held
