"""Cells as pytrees: parameters that are leaves, and options that are not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from operator import index
from typing import Any, Literal, TypedDict, Unpack, cast, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.export import is_symbolic_dim
from jax.typing import ArrayLike, DTypeLike

from .. import _kernel, cells
from .. import cell as numpy_cell
from ..entries import check_dict, check_entries
from . import equations, ffi, primitives
from .kernel import Array, Call, Spec
from .shards import vary_alike

Arrays = dict[str, Array]
Inputs = Mapping[str, ArrayLike]
Backend = Literal["auto", "ffi", "callback", "scan"]
BACKENDS = ("auto", "ffi", "callback", "scan")


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["params"],
    meta_fields=["options", "backend", "threads", "implementation"],
)
@dataclass(frozen=True, eq=False)
class Cell:
    """A cell of plastic synapses: a pytree whose leaves are its parameters.

        cell = STPNR(37, 11, key=jax.random.key(0))
        gradient = jax.grad(lambda cell: cell(x)[0].sum())(cell)     # a Cell too
        cell = jax.tree.map(lambda p, g: p - 0.001 * g, cell, gradient)

    `STPN`, `STPNR`, `STPNF`, `HebbFF`, `FastWeights`, `Modulated` and `cell_from_config` make cells;
    `dataclasses.replace` makes one with other fields. Arrays are of the parameters' dtype, float32 or (where
    JAX is configured for it, "jax_enable_x64") float64: nothing is cast. B is the batch, T the time, I the
    input size and H the hidden size.

    Attributes
    ----------
    params
        The parameters by their names in docs/cells.md.
    options
        What `config` holds, in pairs.
    backend
        How a sequence is computed: by the kernel, through a custom call of XLA ("ffi", which `python -m
        stpn_swift.jax.build` compiles) or a callback to Python ("callback"); by `jax.lax.scan` ("scan"),
        slower and with every derivative, on every device; or ("auto") by the first of these that is there.
    threads
        At most so many threads for a call of the kernel; 0: `stpn_swift.get_num_threads()`.
    implementation
        The name of the kernel's implementation to use, one that `stpn_swift.show_config()` lists; None: the
        fastest.
    """

    params: Arrays
    options: tuple[tuple[str, Any], ...]
    backend: Backend = "auto"
    threads: int = 0
    implementation: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The options of the cell, as a dict that JSON can hold."""
        return dict(self.options)

    @property
    def input_size(self) -> int:
        return cast(int, self.config["input_size"])

    @property
    def hidden_size(self) -> int:
        return cast(int, self.config["hidden_size"])

    def with_params(self, params: Inputs) -> "Cell":
        """The cell with copies of other parameters: `params` of a NumPy cell, or `state_dict()` of a torch
        module.

        Raises
        ------
        TypeError
            A parameter is no array of float32 or float64, or they are of several dtypes.
        ValueError
            There are others than the cell's, or one is of another shape; or they are float64, for which JAX
            is not configured.
        """
        kernel = _spec_of(self.options, params).kernel
        shapes = {name: shape for name, shape, *_ in kernel.parameters}
        taken = _take_dict("params", params, shapes, kernel.dtype)
        return replace(self, params={name: jnp.array(array) for name, array in taken.items()})

    def initial_state(self, batch: int | None = None) -> Arrays:
        """The state that a sequence begins with where none is given: zeros (B,...) by the names of
        docs/cells.md; None: without the batch."""
        kernel = self._spec().kernel
        shapes = {name: shape for name, shape, *_ in kernel.states}
        if batch is not None:
            shapes = _state_shapes(kernel, batch)
        return {name: jnp.zeros(shape, kernel.dtype) for name, shape in shapes.items()}

    @overload
    def __call__(
        self,
        x: ArrayLike,
        state: Inputs | None = None,
        resets: ArrayLike | None = None,
        *,
        energy: Literal[False] = False,
    ) -> tuple[Array, Arrays]: ...
    @overload
    def __call__(
        self,
        x: ArrayLike,
        state: Inputs | None = None,
        resets: ArrayLike | None = None,
        *,
        energy: Literal[True],
    ) -> tuple[Array, Arrays, Array]: ...
    def __call__(
        self,
        x: ArrayLike,
        state: Inputs | None = None,
        resets: ArrayLike | None = None,
        *,
        energy: bool = False,
    ) -> tuple[Array, Arrays] | tuple[Array, Arrays, Array]:
        """Runs whole sequences.

        Parameters
        ----------
        x
            (B,T,I); or (T,I), and then nothing else has a batch either.
        state
            The state before the first step, by name; None: zeros.
        resets
            (B,T) of bool or uint8: where it is set, every state of the sample is zeroed before that step, and
            no gradient flows past it.
        energy
            Whether to return, as a last value, the energy that each neuron uses in each step.

        Returns
        -------
        y
            (B,T,H), the activations.
        state
            The state after the last step.
        energy
            (B,T,H), where it is wanted; it has no gradient.

        The kernel has derivatives in reverse mode (`jax.grad`, `jax.vjp`), once; "scan" has all. `jax.vmap`
        makes its axis a part of the batch, and takes one sample after the other where these have parameters
        or gradients of their own.

        Raises
        ------
        TypeError
            An argument is no array, or of another dtype than the parameters; a derivative is one that the
            kernel does not have.
        ValueError
            An argument has another shape, or a dict other entries, than the cell's; the backend is unknown or
            not there.
        """
        spec = self._spec()
        kernel, dtype = spec.kernel, spec.dtype
        shape = jnp.shape(x)
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            raise ValueError(f"x: expected shape (B, T, {self.input_size}) or one without B, got {shape}")
        if len(shape) == 2:
            x = _take("x", x, shape, dtype)
            if state is not None:
                state = _take_dict(
                    "state", state, {name: of_one for name, of_one, *_ in kernel.states}, dtype
                )
            if resets is not None:
                resets = _take("resets", resets, shape[:1], "bool", "uint8")
            one = jax.tree.map(lambda array: array[None], (x, state, resets))
            outputs = self(*one, energy=energy)  # type: ignore[call-overload]
            return cast(tuple[Array, Arrays], jax.tree.map(lambda array: array[0], outputs))
        B, T, _ = shape
        x = _take("x", x, shape, dtype)
        parameters = {name: shape for name, shape, *_ in kernel.parameters}
        params = _take_dict("params", self.params, parameters, dtype)
        if state is not None:
            state = _take_dict("state", state, _state_shapes(kernel, B), dtype)
        if resets is not None:
            resets = _take("resets", resets, (B, T), "bool", "uint8")

        backend = _backend(self.backend)
        if backend == "scan":
            state = self.initial_state(B) if state is None else state
            y, final, used = equations.sequence(self.config, *vary_alike((params, x, state, resets)))
        else:
            given = {"state": state is not None, "resets": resets is not None, "energy": energy}
            threads = _check_threads(self.threads)
            call = Call(spec, backend, **given, threads=threads, implementation=self.implementation)
            inputs = [x, *params.values(), *(state or {}).values(), *([] if resets is None else [resets])]
            y, *rest = primitives.sequence(call, inputs)
            final, used = dict(zip(call.states, rest, strict=False)), rest[-1]
        return (y, final, used) if energy else (y, final)

    def step(self, x_t: ArrayLike, state: Inputs) -> tuple[Array, Arrays]:
        """Runs one step, for `jax.lax.scan` and rollouts: y (B,H) and the state after it, of x_t (B,I) and a
        state; or all of them without B. Takes and refuses the same as a sequence."""
        shape = jnp.shape(x_t)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ValueError(f"x_t: expected shape (B, {self.input_size}) or one without B, got {shape}")
        y, state = self(jnp.expand_dims(x_t, -2), state)
        return y.squeeze(-2), state

    def _spec(self) -> Spec:
        """By the dtype that the parameters have now."""
        return _spec_of(self.options, self.params)


def _backend(backend: str) -> Literal["ffi", "callback", "scan"]:
    if backend not in BACKENDS:
        raise ValueError(f"backend: expected one of {BACKENDS}, got {backend!r}")
    if backend == "auto":
        if jax.default_backend() != "cpu":
            return "scan"
        return "ffi" if ffi.available() else "callback"
    if backend == "ffi" and not ffi.available():
        raise ValueError(
            'backend: expected one that is there, got "ffi", which python -m stpn_swift.jax.build compiles'
        )
    return cast(Literal["ffi", "callback", "scan"], backend)


def _spec_of(options: tuple[tuple[str, Any], ...], params: Inputs) -> Spec:
    """By the dtype of the first parameter; refuses what is no dict of the cell's parameters."""
    check_dict("params", params)
    entry, first = next(iter(params.items()), ("", np.float32(0)))
    dtype = _dtype_of(f"params['{entry}']", first)
    if dtype not in ("float32", "float64"):
        raise TypeError(f"params['{entry}']: expected float32 or float64, got {dtype}")
    spec = Spec(options, dtype)
    check_entries("params", params, [name for name, *_ in spec.kernel.parameters])
    return spec


def _state_shapes(kernel: _kernel.Cell, batch: int) -> dict[str, tuple[int, ...]]:
    """Also for a batch that is a symbol of `jax.export`."""
    is_symbol: bool = is_symbolic_dim(batch)
    if is_symbol:
        return {name: (batch, *shape) for name, shape, *_ in kernel.states}
    return kernel.state_shapes(batch)


def _check_threads(threads: int) -> int:
    """As the kernel does, before anything is compiled."""
    try:
        count = index(threads)
    except TypeError:
        raise TypeError(f"threads: expected an integer, got {type(threads).__name__}") from None
    if not 0 <= count < 2**31:
        raise ValueError(f"threads: expected 0 or more, in 32 bits, got {count}")
    return count


def _dtype_of(name: str, array: ArrayLike) -> str:
    if not hasattr(array, "dtype"):
        raise TypeError(f"{name}: expected an array, got {type(array).__name__}")
    return str(array.dtype).split(".")[-1]


def _take(name: str, array: ArrayLike, shape: tuple[int, ...], *dtypes: str) -> Array:
    """An array of JAX."""
    dtype = _dtype_of(name, array)
    if dtype not in dtypes:
        raise TypeError(f"{name}: expected {' or '.join(dtypes)}, got {dtype}")
    if jnp.shape(array) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {jnp.shape(array)}")
    _check_precision(name, dtype)
    if hasattr(array, "__dlpack__") and not isinstance(array, (jax.Array, np.ndarray, np.generic)):
        # PyTorch exports a tensor whose signs are still to be turned as its memory lies.
        if hasattr(array, "is_neg") and array.is_neg():
            raise ValueError(
                f"{name}: expected a tensor in its own memory, got a negative view: call resolve_neg()"
            )
        try:
            array = np.from_dlpack(array)
        except (BufferError, RuntimeError) as error:
            raise TypeError(
                f"{name}: expected an array that can be read, got one that cannot: {error}"
            ) from None
    return jnp.asarray(array)


def _check_precision(name: str, dtype: str) -> None:
    if jax.dtypes.canonicalize_dtype(dtype) != dtype:
        raise ValueError(f'{name}: {dtype} needs jax.config.update("jax_enable_x64", True)')


def _take_dict(name: str, arrays: Inputs, shapes: Mapping[str, tuple[int, ...]], dtype: str) -> Arrays:
    """In the order of the shapes."""
    check_dict(name, arrays)
    check_entries(name, arrays, shapes)
    return {
        entry: _take(f"{name}['{entry}']", arrays[entry], shape, dtype) for entry, shape in shapes.items()
    }


class CellOptions(TypedDict, total=False):
    """The options that all cells share: the dtype of the parameters, "float32", "float64", or None for the
    default of JAX; and the backend, which `Cell` describes."""

    dtype: DTypeLike | None
    backend: Backend


class STPNOptions(cells.STPNOptions, CellOptions, total=False):
    """The options of `STPNR` and `STPNF`."""


class HebbFFOptions(cells.HebbFFOptions, CellOptions, total=False):
    """The options of `HebbFF`."""


class FastWeightsOptions(cells.FastWeightsOptions, CellOptions, total=False):
    """The options of `FastWeights`."""


class ModulatedOptions(cells.ModulatedOptions, CellOptions, total=False):
    """The options of `Modulated`."""


def _make(
    numpy_class: type[numpy_cell.Cell],
    input_size: int,
    hidden_size: int,
    key: Array,
    /,
    *,
    dtype: DTypeLike | None = None,
    backend: Backend = "auto",
    **options: Any,
) -> Cell:
    """A cell with parameters drawn from the distributions of docs/cells.md."""
    _backend(backend)
    name = np.dtype(jnp.zeros(()).dtype if dtype is None else dtype).name
    _check_precision("dtype", name)
    described = numpy_class(input_size, hidden_size, dtype=name, seed=0, **options)
    pairs = tuple(described.config.items())
    parameters = Spec(pairs, name).kernel.parameters
    keys = jax.random.split(key, len(parameters))
    params = {
        entry: jax.random.uniform(one, shape, described.dtype, low, high)
        for one, (entry, shape, low, high) in zip(keys, parameters, strict=True)
    }
    return Cell(params, pairs, backend)


def STPN(
    input_size: int, hidden_size: int, *, key: Array, recurrent: bool = True, **options: Unpack[STPNOptions]
) -> Cell:
    """Short-term plasticity neurons; `stpn_swift.STPN` describes sizes, options, parameters, states and
    errors, `CellOptions` the options of every cell. `key` draws the parameters."""
    return _make(cells.STPN, input_size, hidden_size, key, recurrent=recurrent, **options)


def STPNR(input_size: int, hidden_size: int, *, key: Array, **options: Unpack[STPNOptions]) -> Cell:
    """Recurrent short-term plasticity neurons, `STPN` with recurrent=True."""
    return _make(cells.STPNR, input_size, hidden_size, key, **options)


def STPNF(input_size: int, hidden_size: int, *, key: Array, **options: Unpack[STPNOptions]) -> Cell:
    """Feed-forward short-term plasticity neurons, `STPN` with recurrent=False."""
    return _make(cells.STPNF, input_size, hidden_size, key, **options)


def HebbFF(input_size: int, hidden_size: int, *, key: Array, **options: Unpack[HebbFFOptions]) -> Cell:
    """HebbFF; `stpn_swift.HebbFF` describes it, and `STPN` the arguments beside its options."""
    return _make(cells.HebbFF, input_size, hidden_size, key, **options)


def FastWeights(
    input_size: int, hidden_size: int, *, key: Array, **options: Unpack[FastWeightsOptions]
) -> Cell:
    """Fast weights; `stpn_swift.FastWeights` describes them, and `STPN` the arguments beside its options."""
    return _make(cells.FastWeights, input_size, hidden_size, key, **options)


def Modulated(input_size: int, hidden_size: int, *, key: Array, **options: Unpack[ModulatedOptions]) -> Cell:
    """Modulated plasticity; `stpn_swift.Modulated` describes it, and `STPN` the arguments beside its
    options."""
    return _make(cells.Modulated, input_size, hidden_size, key, **options)


def cell_from_config(config: Mapping[str, Any], *, key: Array, **options: Unpack[CellOptions]) -> Cell:
    """The cell that a config describes; `stpn_swift.cell_from_config` describes configs and errors, and
    `STPN` the other arguments."""
    numpy_class, arguments = cells.read_config(config)
    if "backend" in arguments:
        raise TypeError("config: expected options of the cell, got 'backend', which is an argument beside it")
    sizes = arguments.pop("input_size"), arguments.pop("hidden_size")
    return _make(numpy_class, *sizes, key, **arguments, **options)
