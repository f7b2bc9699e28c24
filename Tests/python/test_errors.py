"""Bad input: one row each, with a part of the message.

A message names the argument, what was expected and what came. A refused call writes nothing.
"""

import copy
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import stpn_swift
from arrays import read_only, unaligned
from stpn_swift import STPN, STPNF, STPNR, FastWeights, HebbFF, Modulated, _kernel, cell_from_config

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
        self.energy = np.zeros((B, H), np.float32)
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
        good = {"x_t": self.x_t, "state": self.state, "out": self.out, "energy": self.energy}
        arguments = good | changed
        written = [arguments[name] for name in ("state", "out", "energy")]
        before = copy.deepcopy(written)
        try:
            self.cell.step(**arguments)
        finally:
            np.testing.assert_equal(written, before)


# What the message contains, and the call. It is also the name of the row.
Rows = list[tuple[str, Callable[[Bench], object]]]


def strided(array: Any) -> Any:
    return np.repeat(array, 2, axis=-1)[..., ::2]


def use_twice(b: Bench) -> None:
    b.backward()
    b.backward()


def overlapping_states() -> dict[str, Any]:
    memory = np.zeros(B * H * K, np.float32)
    return {"h": memory[: B * H].reshape(B, H), "F": memory.reshape(B, H, K)}


def out_holds_bias(b: Bench) -> None:
    b.cell.params["bias"] = b.out[0]
    b.step()


def forward_with(b: Bench, **attributes: Any) -> None:
    for name, value in attributes.items():
        setattr(b.cell, name, value)
    b.forward()


def cell(**options: Any) -> STPNR:
    return STPNR(**{"input_size": I, "hidden_size": H} | options)


def fast_weights(**options: Any) -> FastWeights:
    return FastWeights(I, H, **options)


def modulated(**options: Any) -> Modulated:
    return Modulated(I, H, **options)


def kernel_cell(config: Any) -> _kernel.Cell:
    return _kernel.Cell(config, "float32")


def config(cell: str, **options: Any) -> dict[str, Any]:
    return {"cell": cell, "input_size": I, "hidden_size": H} | options


def kernel_forward(b: Bench, y: Any, tape: Any, energy: Any = None) -> None:
    b.cell._kernel.forward(y, None, energy, b.x, b.cell.params, None, None, tape, 0, None)


def kernel_backward(b: Bench, tape: Any, batch: int = B) -> None:
    b.cell._kernel.backward(None, None, None, None, None, tape, batch, T, 0, None)


def tape_around_y(b: Bench) -> None:
    tape = np.zeros(2**20, np.uint8)
    kernel_forward(b, tape[: b.grad_y.nbytes].view(np.float32).reshape(B, T, H), tape)


FORWARD_TYPE_ERRORS: Rows = [
    ("x: expected an array, got NoneType", lambda b: b.forward(x=None)),
    ("x: expected an array, got list", lambda b: b.forward(x=b.x.tolist())),
    ("x: expected an array of float32, got one that cannot", lambda b: b.forward(x=b.x.astype("M8[s]"))),
    ("x: expected float32, got uint8", lambda b: b.forward(x=b.x.tobytes())),
    *(
        (f"x: expected float32, got {name}", lambda b, code=code: b.forward(x=b.x.astype(code)))
        for code, name in [
            ("f8", "float64"),
            (">f4", "big-endian float32"),
            (">f8", "big-endian float64"),
            ("f2", "float16"),
            ("i4", "int32"),
            (">i4", "big-endian int32"),
            ("i8", "int64"),
            ("u2", "uint16"),
            ("?", "bool"),
            ("c8", "complex64"),
            ("c16", "complex128"),
            ("O", "object"),
            ("S4", "elements of format '4s'"),
            ("U4", "elements of format '4w'"),
            ("f4,f4", "elements of format 'T{"),
        ]
    ),
    ("state: expected a dict of arrays, got list", lambda b: b.forward(state=[b.out])),
    ("state['h']: expected an array, got NoneType", lambda b: b.forward(state=b.state | {"h": None})),
    (
        "state['h']: expected float32, got float64",
        lambda b: b.forward(state=cell(dtype=float).initial_state(B)),
    ),
    ("resets: expected bool or uint8, got float32", lambda b: b.forward(resets=b.x[..., 0])),
    ("resets: expected bool or uint8, got int64", lambda b: b.forward(resets=b.resets.astype(int))),
    ("params: expected a dict of arrays, got list", lambda b: forward_with(b, params=[b.x])),
    ("params['weight']: expected float32, got float64", lambda b: b.with_params(weight=np.zeros((H, K)))),
    ("params['weight']: expected an array, got NoneType", lambda b: b.with_params(weight=None)),
    ("threads: expected an integer, got str", lambda b: forward_with(b, threads="2")),
    ("implementation: expected a string or None, got int", lambda b: forward_with(b, implementation=1)),
]

FORWARD_VALUE_ERRORS: Rows = [
    ("x: expected shape (B, T, 4), got ()", lambda b: b.forward(x=np.float32(1))),
    ("x: expected shape (B, T, 4), got (3, 4)", lambda b: b.forward(x=b.x_t)),
    ("x: expected shape (B, T, 4), got (3, 6, 3)", lambda b: b.forward(x=b.x[..., 1:])),
    (
        "x: expected shape (B, T, 4), got (1, 1, 1, 1, ",
        lambda b: b.forward(x=np.zeros((1,) * 32, np.float32)),
    ),
    ("x: expected shape (B, T, 4), got (3, 5)", lambda b: b.cell(b.out)),
    ("state: expected the entries ('h', 'F'), got ('h',)", lambda b: b.forward(state={"h": b.out})),
    (
        "state: expected the entries ('h', 'F'), got ('h', 'F', 'E')",
        lambda b: b.forward(state=b.state | {"E": b.out}),
    ),
    ("state['h']: expected shape (3, 5), got (2, 5)", lambda b: b.forward(state=b.cell.initial_state(2))),
    (
        "state['F']: expected shape (3, 5, 9), got (3, 5, 8)",
        lambda b: b.forward(state=STPNR(3, H).initial_state(B)),
    ),
    ("resets: expected shape (3, 6), got (3, 5)", lambda b: b.forward(resets=b.resets[:, 1:])),
    ("params: expected the entries ('weight', ", lambda b: forward_with(b, params={})),
    ("'weight_gamma'), got ('weight', ", lambda b: b.with_params(gain=b.out)),
    ("params['bias']: expected shape (5,), got (3, 5)", lambda b: b.with_params(bias=b.out)),
    ("threads: expected 0 or more, got -1", lambda b: forward_with(b, threads=-1)),
    ("threads: expected an integer of 32 bits", lambda b: forward_with(b, threads=2**40)),
    ("threads: expected an integer of 64 bits", lambda b: forward_with(b, threads=10**5000)),
    ("implementation: expected None or one of ['plain', ", lambda b: forward_with(b, implementation="fast")),
]

BACKWARD_TYPE_ERRORS: Rows = [
    ("tape: expected a Tape, got ndarray", lambda b: b.backward(tape=b.x)),
    ("grad_y: expected an array, got float", lambda b: b.backward(grad_y=1.0)),
    ("grad_y: expected float32, got float64", lambda b: b.backward(grad_y=b.grad_y.astype(float))),
    ("grad_y: expected float32, got big-endian float32", lambda b: b.backward(grad_y=b.grad_y.astype(">f4"))),
    ("grad_state: expected a dict of arrays, got list", lambda b: b.backward(grad_state=[1])),
    (
        "grad_state['h']: expected float32, got int64",
        lambda b: b.backward(grad_state={"h": b.out.astype(int)}),
    ),
]

BACKWARD_VALUE_ERRORS: Rows = [
    ("tape: expected one that was not used", use_twice),
    ("tape: expected one that forward of this cell returned", lambda b: cell(seed=1).backward(b.tape, None)),
    ("returned, got one of another cell", lambda b: copy.deepcopy(b.cell).backward(b.tape, None)),
    ("grad_y: expected shape (3, 6, 5), got (2, 6, 5)", lambda b: b.backward(grad_y=b.grad_y[1:])),
    (
        "grad_state: expected the entries ('h', 'F'), got ('E',)",
        lambda b: b.backward(grad_state={"E": b.out}),
    ),
    ("grad_state['h']: expected shape (3, 5), got (2, 5)", lambda b: b.backward(grad_state={"h": b.out[1:]})),
]

STEP_TYPE_ERRORS: Rows = [
    ("x_t: expected an array, got NoneType", lambda b: b.step(x_t=None, out=None)),
    ("x_t: expected float32, got float64", lambda b: b.step(x_t=b.x_t.astype(float))),
    ("state: expected a dict of arrays, got NoneType", lambda b: b.step(state=None)),
    ("state['h']: expected float32, got float64", lambda b: b.step(state=cell(dtype=float).initial_state(B))),
    (
        "state['h']: expected float32, got big-endian",
        lambda b: b.step(state=b.state | {"h": b.out.astype(">f4")}),
    ),
    ("out: expected an array, got list", lambda b: b.step(out=b.out.tolist())),
    ("out: expected float32, got float64", lambda b: b.step(out=b.out.astype(float))),
    ("energy: expected an array, got bool", lambda b: b.step(energy=True)),
    ("energy: expected float32, got float64", lambda b: b.step(energy=b.energy.astype(float))),
    ("step() takes 7 arguments, got 1", lambda b: b.cell._kernel.step(b.x_t)),
]

STEP_VALUE_ERRORS: Rows = [
    ("x_t: expected shape (B, 4), got (3, 6, 4)", lambda b: b.step(x_t=b.x)),
    ("x_t: expected shape (B, 4), got (3, 5)", lambda b: b.step(x_t=b.out, out=None)),
    ("state: expected the entries ('h', 'F'), got ('F',)", lambda b: b.step(state={"F": b.state["F"]})),
    ("state['h']: expected shape (3, 5), got (2, 5)", lambda b: b.step(state=b.cell.initial_state(2))),
    (
        "state['F']: expected a writable array",
        lambda b: b.step(state=b.state | {"F": read_only(b.state["F"])}),
    ),
    (
        "state['F']: expected a C-contiguous array",
        lambda b: b.step(state=b.state | {"F": strided(b.state["F"])}),
    ),
    (
        "state['h']: expected a C-contiguous array",
        lambda b: b.step(state=b.state | {"h": np.asfortranarray(b.out)}),
    ),
    ("state['h']: expected an aligned array", lambda b: b.step(state=b.state | {"h": unaligned(b.out)})),
    ("expected memory of its own, overlaps state[F]", lambda b: b.step(state=overlapping_states())),
    ("out: expected shape (3, 5), got (2, 5)", lambda b: b.step(out=b.out[1:])),
    ("out: expected a writable array, got a read-only one", lambda b: b.step(out=read_only(b.out))),
    ("out: expected a C-contiguous array, got a strided one", lambda b: b.step(out=strided(b.out))),
    ("out: expected an aligned array", lambda b: b.step(out=unaligned(b.out))),
    ("expected memory of its own, overlaps state[h]", lambda b: b.step(out=b.state["h"])),
    ("expected memory of its own, overlaps parameters[bias]", out_holds_bias),
    ("energy: expected shape (3, 5), got (3, 6, 5)", lambda b: b.step(energy=b.grad_y)),
    ("energy: expected a writable array", lambda b: b.step(energy=read_only(b.energy))),
    ("energy: expected a C-contiguous array", lambda b: b.step(energy=strided(b.energy))),
    ("energy: expected an aligned array", lambda b: b.step(energy=unaligned(b.energy))),
    ("expected memory of its own, overlaps energy", lambda b: b.step(energy=b.out)),
]

CELL_TYPE_ERRORS: Rows = [
    *(
        (f"{name}: expected an int, got {kind}", lambda b, name=name, size=size: cell(**{name: size}))
        for name in ("input_size", "hidden_size")
        for size, kind in [
            (3.5, "float"),
            (4.0, "float"),
            (np.float64(np.nan), "float"),
            (True, "bool"),
            ("3", "str"),
            (None, "NoneType"),
            ([3], "list"),
        ]
    ),
    ("normalize: expected a number, a string or None, got [3]", lambda b: cell(normalize=[3])),
    ("clamp: expected a number, a string or None, got array", lambda b: cell(clamp=b.x)),
    ("gain: expected an option of STPNR, one of plastic, ", lambda b: cell(gain=1)),
    ("multiple values for keyword argument 'recurrent'", lambda b: cell(recurrent=True)),
    *(
        (
            f"{option}: expected an option of {cls.__name__}, one of ",
            lambda b, c=cls, o=option: c(I, H, **{o: 1}),
        )
        for cls, option in [
            (STPN, "forced"),
            (STPNF, "inner_steps"),
            (HebbFF, "clamp"),
            (FastWeights, "normalize"),
            (FastWeights, "bias"),
            (Modulated, "activation"),
            (Modulated, "bogus"),
        ]
    ),
    (
        "clamp: expected an option of HebbFF, one of forced",
        lambda b: cell_from_config(config("hebbff", clamp=1)),
    ),
    (
        "config: expected options of the cell, got 'seed'",
        lambda b: cell_from_config(config("stpn", seed=1)),
    ),
    ("config: expected a dict, got str", lambda b: cell_from_config("stpn")),  # type: ignore[arg-type]
    ("config: expected a dict, got NoneType", lambda b: cell_from_config(None)),  # type: ignore[arg-type]
    ("hidden_size: expected an int, got float", lambda b: cell_from_config(config("stpn", hidden_size=2.5))),
    ("config: expected the name of an option, got 1", lambda b: kernel_cell({"cell": "stpn", 1: 2})),
    ("batch: expected an integer, got float", lambda b: b.cell.initial_state(1.5)),
    ("threads: expected an integer, got float", lambda b: stpn_swift.set_num_threads(1.5)),  # type: ignore[arg-type]
]

CELL_VALUE_ERRORS: Rows = [
    *(
        (f"{name}: {message}", lambda b, name=name, size=size: cell(**{name: size}))
        for name in ("input_size", "hidden_size")
        for size, message in [
            (0, "expected 1 or more, got 0"),
            (-1, "expected 1 or more, got -1"),
            (np.int64(-(2**62)), "expected 1 or more, got -4611686018427387904"),
            (2**70, "expected a whole number of 64 bits"),
            (10**400, "too large"),
        ]
    ),
    ("hidden_size: (H, I + H) synapses exceed the address space", lambda b: STPNR(2**40, 2**40)),
    ("normalize: expected a name, got 'pre\\x00b'", lambda b: cell(normalize="pre\0b")),
    ('normalize: expected one of None, "output", "pre", "post", got 1', lambda b: cell(normalize=1)),
    *(
        (f"{option}: expected one of {choices}, got {came}", lambda b, m=make, o=option, v=value: m(**{o: v}))
        for make, option, choices, value, came in [
            (cell, "plastic", '"all", "input", "hidden"', "both", '"both"'),
            (cell, "plasticity_shape", '"synapse", "neuron", "presynaptic", "scalar"', "layer", '"layer"'),
            (cell, "normalize", 'None, "output", "pre", "post"', "l2", '"l2"'),
            (cell, "norm_axis", '"neuron", "layer"', "row", '"row"'),
            (cell, "decay", '"stp", "prompt"', None, "None"),
            (cell, "rule", '"hebb", "oja"', "Oja", '"Oja"'),
            (cell, "presynaptic", '"previous", "current"', "next", '"next"'),
            (cell, "activation", '"tanh", "sigmoid", "relu", "identity"', "gelu", '"gelu"'),
            (fast_weights, "activation", '"tanh", "sigmoid", "relu", "identity"', "", '""'),
            (modulated, "kind", '"plastic", "modplast", "modul"', "both", '"both"'),
            (modulated, "da", '"tanh", "sig", "lin"', "sigmoid", '"sigmoid"'),
        ]
    ),
    *(
        (f"{option}: expected 0 or 1, got {came}", lambda b, m=make, o=option, v=value: m(**{o: v}))
        for make, option in [
            *((cell, name) for name in ("norm_gain", "bias", "plastic_bias", "layer_norm")),
            (lambda **options: STPN(I, H, **options), "recurrent"),
            (lambda **options: HebbFF(I, H, **options), "forced"),
            (fast_weights, "layer_norm"),
        ]
        for value, came in [(2, "2"), (-1, "-1"), (0.5, "0.5"), ("yes", '"yes"'), (None, "None")]
    ),
    ("inner_steps: expected 1 to 1024, got 0", lambda b: fast_weights(inner_steps=0)),
    ("inner_steps: expected 1 to 1024, got -3", lambda b: fast_weights(inner_steps=-3)),
    ("inner_steps: expected a whole number of 32 bits, got 1.5", lambda b: fast_weights(inner_steps=1.5)),
    ("inner_steps: expected a whole number of 32 bits", lambda b: fast_weights(inner_steps=2**31)),
    ("inner_steps: expected a number, got None", lambda b: fast_weights(inner_steps=None)),
    ("addpw: expected 0 to 3, got 4", lambda b: modulated(addpw=4)),
    ("addpw: expected 0 to 3, got -1", lambda b: modulated(addpw=-1)),
    ("addpw: expected a whole number of 32 bits, got 2.5", lambda b: modulated(addpw=2.5)),
    ('addpw: expected a number, got "3"', lambda b: modulated(addpw="3")),
    (
        'plastic: expected "all" or "input" in a feed-forward cell, got "hidden"',
        lambda b: STPNF(I, H, plastic="hidden"),
    ),
    (
        'presynaptic: expected "previous" in a feed-forward cell, got "current"',
        lambda b: STPNF(I, H, presynaptic="current"),
    ),
    (
        "norm_gain: expected a normalize for the gain to scale, got None",
        lambda b: cell(norm_gain=True, normalize=None),
    ),
    (
        'norm_axis: expected "neuron" where normalize is None, got "layer"',
        lambda b: cell(norm_axis="layer", normalize=None),
    ),
    ("config: expected an entry 'cell', got ['x']", lambda b: cell_from_config({"x": 1})),
    (
        "config: expected an entry 'hidden_size', got ",
        lambda b: cell_from_config({"cell": "stpn", "input_size": 3}),
    ),
    (
        'cell: expected one of "stpn", "hebbff", "fast_weights", "modulated", got \'lstm\'',
        lambda b: cell_from_config(config("lstm")),
    ),
    ("cell: expected one of ", lambda b: cell_from_config(config("stpn") | {"cell": ["stpn"]})),
    (
        "recurrent: expected True or False, got 'yes'",
        lambda b: cell_from_config(config("stpn", recurrent="yes")),
    ),
    ("recurrent: expected False, got True", lambda b: cell_from_config(config("hebbff", recurrent=True))),
    ("clamp: expected 0 or more, got -0.1", lambda b: cell(clamp=-0.1)),
    ("clamp: expected 0 or more, got nan", lambda b: cell(clamp=np.nan)),
    ('clamp: expected a number or None, got "0.1"', lambda b: cell(clamp="0.1")),
    ('dtype: expected one of "float32", "float64", got "float16"', lambda b: cell(dtype="float16")),
    ('dtype: expected one of "float32", "float64", got "int32"', lambda b: cell(dtype=np.int32)),
    ('dtype: expected one of "float32", "float64", got ">f4"', lambda b: cell(dtype=np.dtype(">f4"))),
    ('dtype: expected one of "float32", "float64", got None', lambda b: cell(dtype=None)),
    (
        'gain: a cell of the kind "stpn" has no such option',
        lambda b: kernel_cell({"cell": "stpn", "gain": 1}),
    ),
    ('cell: expected one of "stpn", ', lambda b: kernel_cell({"cell": "lstm"})),
    ("cell: expected the name of a cell", lambda b: kernel_cell({})),
    ("surrogates not allowed", lambda b: cell(normalize="\ud800")),
    ("batch: expected 0 or more, got -1", lambda b: b.cell.initial_state(-1)),
    ("exceeds the address space, with B = 1152921504606846976", lambda b: b.cell.initial_state(2**60)),
    ("batch: expected an integer of 64 bits", lambda b: b.cell.initial_state(2**70)),
    ("threads: ", lambda b: stpn_swift.set_num_threads(0)),
    ("threads: ", lambda b: stpn_swift.set_num_threads(1025)),
    ("threads: expected an integer of 32 bits", lambda b: stpn_swift.set_num_threads(2**32 + 1)),
    ('mode: expected "stdout" or "dicts", got \'json\'', lambda b: stpn_swift.show_config("json")),  # type: ignore[call-overload]
]

KERNEL_TYPE_ERRORS: Rows = [
    (
        "energy: expected float32, got float64",
        lambda b: kernel_forward(b, b.grad_y, None, np.zeros((B, T, H))),
    ),
    ("forward() takes 10 arguments, got 1", lambda b: b.cell._kernel.forward(b.x)),
    ("y: expected an array, got NoneType", lambda b: kernel_forward(b, None, None)),
    ("tape: expected uint8, got float64", lambda b: kernel_forward(b, b.grad_y, np.empty(9999))),
]

KERNEL_VALUE_ERRORS: Rows = [
    ("energy: expected shape (3, 6, 5), got (3, 5)", lambda b: kernel_forward(b, b.grad_y, None, b.energy)),
    ("expected memory of its own, overlaps energy", lambda b: kernel_forward(b, b.grad_y, None, b.grad_y)),
    ("y: expected shape (3, 6, 5), got (3, 6, 4)", lambda b: kernel_forward(b, b.x.copy(), None)),
    ("y: expected memory of its own, overlaps tape", tape_around_y),
    ("tape_size: expected ", lambda b: kernel_forward(b, b.grad_y, np.empty(8, np.uint8))),
    ("tape_size: expected ", lambda b: kernel_backward(b, np.zeros(8, np.uint8))),
    ("tape: expected the tape of this cell", lambda b: kernel_backward(b, np.zeros(10**5, np.uint8))),
    ("batch: expected 0 or more, got -1", lambda b: kernel_backward(b, np.zeros(9, np.uint8), batch=-1)),
    ("exceeds the address space", lambda b: b.cell._kernel.tape_size(2**31, 2**31, None)),
]


def check(row: tuple[str, Callable[[Bench], object]], error: type[Exception]) -> None:
    message, call = row
    with pytest.raises(error, match=re.escape(message)):
        call(Bench())


def name_of(row: object) -> str:
    assert isinstance(row, tuple)
    return str(row[0])


TYPE_ERRORS = (
    FORWARD_TYPE_ERRORS + BACKWARD_TYPE_ERRORS + STEP_TYPE_ERRORS + CELL_TYPE_ERRORS + KERNEL_TYPE_ERRORS
)
VALUE_ERRORS = (
    FORWARD_VALUE_ERRORS + BACKWARD_VALUE_ERRORS + STEP_VALUE_ERRORS + CELL_VALUE_ERRORS + KERNEL_VALUE_ERRORS
)


@pytest.mark.parametrize("row", TYPE_ERRORS, ids=name_of)
def test_a_wrong_type_is_a_type_error(row: tuple[str, Callable[[Bench], object]]) -> None:
    check(row, TypeError)


@pytest.mark.parametrize("row", VALUE_ERRORS, ids=name_of)
def test_a_wrong_value_is_a_value_error(row: tuple[str, Callable[[Bench], object]]) -> None:
    check(row, ValueError)


def test_too_little_memory_is_a_memory_error() -> None:
    program = """
        import resource
        import numpy as np
        import stpn_swift

        cell = stpn_swift.STPNR(1000, 2)
        x = np.broadcast_to(np.float32(1), (2000, 400, 1000))
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 2**30
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
