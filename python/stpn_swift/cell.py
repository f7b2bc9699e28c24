"""What all cells have in common: parameters, states and calls on NumPy arrays."""

from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, overload

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _kernel

Array = NDArray[Any]
State = dict[str, Array]
Seed: TypeAlias = "int | np.random.Generator | None"  # as text: numpy.random is loaded by the first cell


class Grads(NamedTuple):
    """Gradients of a loss: for the inputs `x` (B,T,I), the initial `state` and the `params`, these two by
    name."""

    x: Array
    state: State
    params: dict[str, Array]


class Tape:
    """What `Cell.backward` needs of one call of `Cell.forward`: its inputs and parameters as they were in
    that call, and a few numbers for each step and neuron. Good for one backward call of the cell that made
    it."""

    __slots__ = ("_batch", "_implementation", "_kernel", "_memory", "_time")

    def __init__(
        self, kernel: _kernel.Cell, batch: int, time: int, implementation: str | None, memory: Array
    ) -> None:
        self._kernel = kernel
        self._batch = batch
        self._time = time
        self._implementation = implementation
        self._memory: list[Array] = [memory]  # empty once it is used; a list, as its pop is atomic

    @property
    def nbytes(self) -> int:
        """The memory that the tape holds, in bytes: 0 after its backward call."""
        return sum(memory.nbytes for memory in self._memory)


class Cell:
    """A cell of plastic synapses; the base of the cells in `stpn_swift`.

    Arrays are of the cell's dtype, without exception: nothing is cast. Inputs may have any strides and are
    copied where they are not C-contiguous; arrays that a call writes to must be. B is the batch, T the time,
    I the input size and H the hidden size. Any number of threads may call a cell at once. A cell keeps the
    memory of one used tape for the next.

    Attributes
    ----------
    params
        The parameters by their names in docs/cells.md. Entries may be replaced by arrays of the same shape
        and dtype.
    dtype, input_size, hidden_size
        As given.
    threads
        At most so many threads for a call of this cell; 0, the default: `get_num_threads()`.
    implementation
        The name of the kernel's implementation to use, one that `show_config()` lists; None, the default: the
        fastest.
    """

    FIXED: ClassVar[Mapping[str, object]] = {}
    """What every `config` of the class holds: which cell it is."""
    OPTIONS: ClassVar[Mapping[str, object]] = {}
    """The options of the class, with their defaults."""

    def __init__(
        self, input_size: int, hidden_size: int, *, dtype: DTypeLike, seed: Seed, **options: Any
    ) -> None:
        unknown = [name for name in options if name not in self.OPTIONS]
        if unknown:
            expected = ", ".join(name for name in self.OPTIONS if name not in self.FIXED)
            raise TypeError(f"{unknown[0]}: expected an option of {type(self).__name__}, one of {expected}")
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        config = {
            name: _python_scalar(value)
            for name, value in {**self.FIXED, **sizes, **self.OPTIONS, **options}.items()
        }
        for name in sizes:
            if type(config[name]) is not int:
                raise TypeError(f"{name}: expected an int, got {type(config[name]).__name__}")
        self._kernel = _kernel.Cell(config, _dtype_name(dtype))
        self.dtype = np.dtype(self._kernel.dtype)
        self.input_size: int = config["input_size"]
        self.hidden_size: int = config["hidden_size"]
        self.threads = 0
        self.implementation: str | None = None
        self._spare: deque[Array] = deque(maxlen=1)
        random = np.random.default_rng(seed)
        self.params: dict[str, Array] = {
            name: np.asarray(random.uniform(low, high, shape), self.dtype)
            for name, shape, low, high in self._kernel.parameters
        }

    @property
    def config(self) -> dict[str, Any]:
        """The options of the cell, as a dict that JSON can hold."""
        return self._kernel.config

    def initial_state(self, batch: int) -> State:
        """The state that a sequence begins with where none is given: zeros (B,...) by the names of
        docs/cells.md.

        Raises ValueError where the batch is negative or enormous.
        """
        return {name: np.zeros(shape, self.dtype) for name, shape in self._kernel.state_shapes(batch).items()}

    @overload
    def __call__(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[False] = False,
        final_state: bool = True,
    ) -> tuple[Array, State]: ...
    @overload
    def __call__(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[True],
        final_state: bool = True,
    ) -> tuple[Array, State, Array]: ...
    def __call__(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: bool = False,
        final_state: bool = True,
    ) -> tuple[Array, State] | tuple[Array, State, Array]:
        """Runs whole sequences; as `forward`, for inference: without the tape."""
        batch, time = self._kernel.sequence_sizes(x)
        y, final, used = self._forward(batch, time, x, state, resets, None, energy, final_state)
        return (y, final) if used is None else (y, final, used)

    @overload
    def forward(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[False] = False,
        record_state: Literal[False] = False,
        final_state: bool = True,
    ) -> tuple[Array, State, Tape]: ...
    @overload
    def forward(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[True],
        record_state: Literal[False] = False,
        final_state: bool = True,
    ) -> tuple[Array, State, Tape, Array]: ...
    @overload
    def forward(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[False] = False,
        record_state: Literal[True],
        final_state: bool = True,
    ) -> tuple[Array, State, Tape, State]: ...
    @overload
    def forward(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: Literal[True],
        record_state: Literal[True],
        final_state: bool = True,
    ) -> tuple[Array, State, Tape, Array, State]: ...
    def forward(
        self,
        x: Array,
        state: State | None = None,
        resets: Array | None = None,
        *,
        energy: bool = False,
        record_state: bool = False,
        final_state: bool = True,
    ) -> tuple[Any, ...]:
        """Runs whole sequences, and keeps what `backward` needs.

        Parameters
        ----------
        x
            (B,T,I).
        state
            The state before the first step, by name; None: zeros. It is not changed.
        resets
            (B,T) of bool or uint8: where it is set, every state of the sample is zeroed before that step.
        energy
            Whether to return, behind the tape, what `energy` returns; it costs no second pass.
        record_state
            Whether to return, as a last value, the state after each step, such as F (B,T,H,K). It is T times
            the memory of a state and a second pass of the kernel, step by step.
        final_state
            Whether to return the state after the last step, which is B·H·K numbers to write.

        Returns
        -------
        y
            (B,T,H), the activations.
        state
            The state after the last step; an empty dict where it is not wanted.
        tape
            For one call of `backward`.
        energy
            (B,T,H), where it is wanted.
        record
            (B,T,…) by the names of the states, where it is wanted.

        Raises
        ------
        TypeError
            An argument is no array, or of another dtype than the cell.
        ValueError
            An argument has another shape, or a dict other entries, than the cell's.
        """
        batch, time = self._kernel.sequence_sizes(x)
        implementation = self.implementation
        memory = self._tape_memory(self._kernel.tape_size(batch, time, implementation))
        y, final, used = self._forward(batch, time, x, state, resets, memory, energy, final_state)
        tape = Tape(self._kernel, batch, time, implementation, memory)
        wanted: list[Any] = [] if used is None else [used]
        if record_state:
            wanted.append(self._record_state(x, state, resets))
        return (y, final, tape, *wanted)

    def energy(self, x: Array, state: State | None = None, resets: Array | None = None) -> Array:
        """The energy that each neuron uses in each step, (B,T,H): the sum over its synapses of conductance
        times the square of the input, as in docs/cells.md, section 2. It is 0 or more and has no gradient.

        Takes and refuses the same as `forward`.
        """
        return self(x, state, resets, energy=True, final_state=False)[2]

    def _record_state(self, x: Array, state: State | None, resets: Array | None) -> State:
        batch, time = self._kernel.sequence_sizes(x)
        x, resets = _as_numpy(x), None if resets is None else _as_numpy(resets)
        record = {
            name: np.empty((batch, time, *sizes), self.dtype)
            for name, (_, *sizes) in self._kernel.state_shapes(batch).items()
        }
        for step in range(time):
            now = slice(step, step + 1)
            _, state = self(x[:, now], state, None if resets is None else resets[:, now])
            for name, array in state.items():
                record[name][:, step] = array
        return record

    def _tape_memory(self, size: int) -> Array:
        """That of the tape that was used last, where it fits: fresh memory costs its first writer dearly."""
        try:
            memory = self._spare.pop()
        except IndexError:
            memory = None
        return memory if memory is not None and memory.nbytes == size else aligned(size)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spare": deque(maxlen=1)}

    def _forward(
        self,
        batch: int,
        time: int,
        x: Array,
        state: State | None,
        resets: Array | None,
        tape: Array | None,
        with_energy: bool,
        with_final: bool,
    ) -> tuple[Array, State, Array | None]:
        y = np.empty((batch, time, self.hidden_size), self.dtype)
        final = self._empty_state(batch) if with_final else {}
        energy = np.empty_like(y) if with_energy else None
        self._kernel.forward(
            y, final, energy, x, self.params, state, resets, tape, self.threads, self.implementation
        )
        return y, final, energy

    def _empty_state(self, batch: int) -> State:
        return {name: np.empty(shape, self.dtype) for name, shape in self._kernel.state_shapes(batch).items()}

    def backward(self, tape: Tape, grad_y: Array | None, grad_state: dict[str, Any] | None = None) -> Grads:
        """Goes back through a whole `forward` call: gradients for its inputs, its initial state and its
        parameters.

        The gradients are those of the call as it was, whatever became of the parameters since. Resets pass
        none.

        Parameters
        ----------
        tape
            Of a `forward` call of this cell; it is used up.
        grad_y
            (B,T,H), the gradient of the loss for y; None: 0.
        grad_state
            The gradients of the loss for the final state, by name; None, a missing entry or one that is None:
            0.

        Raises
        ------
        TypeError
            An argument is no array, or of another dtype than the cell.
        ValueError
            The tape is of another cell or was used before; an argument has another shape or other entries
            than the cell's.
        """
        self._check_tape(tape)
        grads = Grads(
            np.empty((tape._batch, tape._time, self.input_size), self.dtype),
            self._empty_state(tape._batch),
            self._empty_params(),
        )
        self._backward(tape, grad_y, grad_state, *grads)
        return grads

    def backward_params(
        self, tape: Tape, grad_y: Array | None, grad_state: dict[str, Any] | None = None
    ) -> dict[str, Array]:
        """The gradients for the parameters alone, which are `backward(...).params`, in less time: what a cell
        needs that reads the data itself, from a state of zeros on.

        Takes and refuses the same as `backward`.
        """
        self._check_tape(tape)
        grad_params = self._empty_params()
        self._backward(tape, grad_y, grad_state, None, None, grad_params)
        return grad_params

    def _empty_params(self) -> dict[str, Array]:
        return {name: np.empty(shape, self.dtype) for name, shape, _, _ in self._kernel.parameters}

    def _backward(
        self,
        tape: Tape,
        grad_y: Array | None,
        grad_final: dict[str, Any] | None,
        grad_x: Array | None,
        grad_state: State | None,
        grad_params: dict[str, Array],
    ) -> None:
        """Fills the last three, as far as there are any."""
        try:
            memory = tape._memory.pop()
        except IndexError:
            message = "tape: expected one that was not used, got one that went through backward before"
            raise ValueError(message) from None
        try:
            self._kernel.backward(
                grad_x,
                grad_params,
                grad_state,
                grad_y,
                grad_final,
                memory,
                tape._batch,
                tape._time,
                self.threads,
                tape._implementation,
            )
        except BaseException:
            tape._memory.append(memory)
            raise
        self._spare.append(memory)

    def _check_tape(self, tape: Tape) -> None:
        if not isinstance(tape, Tape):
            raise TypeError(f"tape: expected a Tape, got {type(tape).__name__}")
        if tape._kernel is not self._kernel:
            raise ValueError("tape: expected one that forward of this cell returned, got one of another cell")

    def step(self, x_t: Array, state: State, out: Array | None = None, energy: Array | None = None) -> Array:
        """Runs one step in place, without gradients, for rollouts.

        Parameters
        ----------
        x_t
            (B,I).
        state
            Its arrays are replaced by the state after the step: C-contiguous, writable, none overlapping
            another argument.
        out
            (B,H), where y is written to, under the same conditions; None: a new array.
        energy
            (B,H), where the energy of the step is written to, under the same conditions; None: it is not
            computed.

        Returns
        -------
        y
            (B,H), the activations.

        Raises
        ------
        TypeError
            An argument is no array, or of another dtype than the cell.
        ValueError
            An argument has another shape, or a dict other entries, than the cell's; the state, `out` or
            `energy` cannot be written in place.
        """
        kernel = self._kernel
        if out is None:
            out = np.empty((kernel.step_size(x_t), self.hidden_size), self.dtype)
        kernel.step(out, state, energy, x_t, self.params, self.threads, self.implementation)
        return out

    def __repr__(self) -> str:
        """Builds a cell of the same options: those that are not the defaults are named."""
        usual = {**self.OPTIONS, **self.FIXED}
        options = {**self.config, "dtype": self.dtype.name}
        named = (f"{name}={value!r}" for name, value in options.items() if value != usual.get(name, ...))
        return f"{type(self).__name__}({', '.join(named)})"


def aligned(size: int) -> Array:
    """Memory of so many bytes that begins with a line of the cache, which spares each vector of a tape's rows
    a load from two."""
    memory = np.empty(size + 63, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size]


def _as_numpy(array: Any) -> Array:
    """A view, of what the kernel takes. NumPy's DLPack has no bool before 1.25."""
    by_dlpack = hasattr(array, "__dlpack__") and not hasattr(array, "__array__")
    return np.from_dlpack(array) if by_dlpack else np.asarray(array)


def _dtype_name(dtype: DTypeLike) -> str | None:
    """The kernel refuses what it does not know by name: other byte orders, and None, NumPy's float64."""
    return dtype if dtype is None or isinstance(dtype, str) else str(np.dtype(dtype))


def _python_scalar(value: Any) -> Any:
    """An option as JSON can hold it."""
    return value.item() if isinstance(value, np.generic) else value
