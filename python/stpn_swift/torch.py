"""The cells as modules of PyTorch, on the CPU, computed by the same kernel as the NumPy ones.

import torch, stpn_swift.torch

cell = stpn_swift.torch.STPNR(37, 11)
y, state = cell(torch.zeros(128, 9, 37))
y.sum().backward()
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack, cast, overload

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.graph import increment_version

from . import _kernel, cell, cells

Tensors = dict[str, Tensor]
T = TypeVar("T")


class _Run(NamedTuple):
    """How a call runs; see `Cell`."""

    threads: int
    implementation: str | None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _array(name: str, tensor: Tensor, *dtypes: torch.dtype) -> NDArray[Any]:
    """The array on the memory of a tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(tensor).__name__}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name}: expected {' or '.join(map(str, dtypes))}, got {tensor.dtype}")
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        raise ValueError(
            f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}"
        )
    return tensor.detach().numpy()


def _arrays(name: str, tensors: Mapping[str, Tensor | None], dtype: torch.dtype) -> dict[str, Any]:
    """The arrays on the memory of tensors; None stays None."""
    return {
        entry: None if tensor is None else _array(f"{name}['{entry}']", tensor, dtype)
        for entry, tensor in tensors.items()
    }


def _check_dict(name: str, tensors: object) -> None:
    if not isinstance(tensors, dict):
        raise TypeError(f"{name}: expected a dict of tensors, got {type(tensors).__name__}")


def _need_gradients(tensors: Iterable[object]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)


class _Operator:
    """The calls of a cell on tensors; autograd sees none of them."""

    def __init__(self, config: dict[str, Any], dtype: torch.dtype) -> None:
        self.kernel = _kernel.Cell(config, _name(dtype))
        self.dtype = dtype
        self.hidden_size: int = config["hidden_size"]
        self.state_names = [name for name, *_ in self.kernel.states]

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=self.dtype)

    def forward(
        self,
        x: Tensor,
        params: Tensors,
        state: Tensors | None,
        resets: Tensor | None,
        run: _Run,
        *,
        with_energy: bool,
        with_tape: bool,
    ) -> tuple[Tensor, Tensors, Tensor | None, Tensor | None]:
        """y (B,T,H), the final state, the energy (B,T,H) and the tape, these two where they are wanted."""
        x_array = _array("x", x, self.dtype)
        B, T = self.kernel.sequence_sizes(x_array)
        y = self.empty((B, T, self.hidden_size))
        final = {name: self.empty(shape) for name, shape in self.kernel.state_shapes(B).items()}
        energy = torch.empty_like(y) if with_energy else None
        tape = None
        if with_tape:
            tape = torch.empty(self.kernel.tape_size(B, T, run.implementation), dtype=torch.uint8)
        self.kernel.forward(
            y.numpy(),
            _arrays("final_state", final, self.dtype),
            None if energy is None else energy.numpy(),
            x_array,
            _arrays("params", params, self.dtype),
            None if state is None else _arrays("state", state, self.dtype),
            None if resets is None else _array("resets", resets, torch.bool, torch.uint8),
            None if tape is None else tape.numpy(),
            *run,
        )
        return y, final, energy, tape

    def backward(
        self,
        grad_x: Tensor | None,
        grad_params: Mapping[str, Tensor | None],
        grad_state: Mapping[str, Tensor | None],
        grad_y: Tensor | None,
        grad_final: Mapping[str, Tensor | None],
        tape: Tensor,
        sizes: tuple[int, int],
        run: _Run,
    ) -> None:
        """Fills the first three, as far as they are wanted; sizes are B and T."""
        self.kernel.backward(
            None if grad_x is None else grad_x.numpy(),
            _arrays("grads.params", grad_params, self.dtype),
            _arrays("grads.state", grad_state, self.dtype),
            None if grad_y is None else _array("grad_y", grad_y, self.dtype),
            _arrays("grad_state", grad_final, self.dtype),
            tape.numpy(),
            *sizes,
            *run,
        )

    def step(
        self,
        y: Tensor | None,
        state: Tensors,
        energy: Tensor | None,
        x_t: Tensor,
        params: Tensors,
        run: _Run,
    ) -> Tensor:
        """y, a new tensor where none is given."""
        x_array = _array("x_t", x_t, self.dtype)
        if y is None:
            y = self.empty((self.kernel.step_size(x_array), self.hidden_size))
        self.kernel.step(
            _array("out", y, self.dtype),
            _arrays("state", state, self.dtype),
            None if energy is None else _array("energy", energy, self.dtype),
            x_array,
            _arrays("params", params, self.dtype),
            *run,
        )
        return y


class _Sequence(torch.autograd.Function):
    """`_Operator.forward` for autograd: the tensors that may need gradients are the last arguments, in a
    row."""

    @staticmethod
    def forward(
        ctx: Any,
        operator: _Operator,
        run: _Run,
        resets: Tensor | None,
        with_energy: bool,
        state_names: list[str] | None,
        param_names: list[str],
        x: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor | None, ...]:
        params, state = _split(tensors, param_names, state_names)
        y, final, energy, tape = operator.forward(
            x, params, state, resets, run, with_energy=with_energy, with_tape=True
        )
        if energy is not None:
            ctx.mark_non_differentiable(energy)
        ctx.operator, ctx.run = operator, run
        ctx.state_names, ctx.param_names = state_names, param_names
        ctx.shapes = [tensor.shape for tensor in (x, *tensors)]
        ctx.differentiable = [tensor for tensor in (x, *tensors) if tensor.requires_grad]
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(tape)
        return y, energy, *final.values()

    @staticmethod
    def backward(
        ctx: Any, grad_y: Tensor | None, _: Tensor | None, *grad_final: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        needed = ctx.needs_input_grad[-len(ctx.shapes) :]
        grads = [
            ctx.operator.empty(shape) if need else None
            for shape, need in zip(ctx.shapes, needed, strict=True)
        ]
        grad_x, *others = grads
        grad_params, grad_state = _split(others, ctx.param_names, ctx.state_names)
        grad_final_state = dict(zip(ctx.operator.state_names, grad_final, strict=True))
        (tape,) = ctx.saved_tensors
        ctx.operator.backward(
            grad_x, grad_params, grad_state or {}, grad_y, grad_final_state, tape, ctx.shapes[0][:2], ctx.run
        )
        if torch.is_grad_enabled():
            grads = list(_apply(_Once, grads, *ctx.differentiable))
        others_than_tensors = len(ctx.needs_input_grad) - len(grads)
        return *[None] * others_than_tensors, *grads


class _Once(torch.autograd.Function):
    """Gradients that refuse to be differentiated; else a loss that has them would take them for constants."""

    @staticmethod
    def forward(ctx: Any, grads: list[Tensor | None], *inputs: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(grads)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> None:
        raise RuntimeError(
            "stpn_swift has no second derivatives: gradients of a cell cannot be differentiated"
        )


def _apply(function: type[torch.autograd.Function], *arguments: Any) -> tuple[Any, ...]:
    return cast(tuple[Any, ...], function.apply(*arguments))  # type: ignore[no-untyped-call]


def _split(
    tensors: Sequence[T], param_names: list[str], state_names: list[str] | None
) -> tuple[dict[str, T], dict[str, T] | None]:
    """By name: the first of the tensors as parameters, the others, if there is one, as a state."""
    params = dict(zip(param_names, tensors, strict=False))
    if state_names is None:
        return params, None
    return params, dict(zip(state_names, tensors[len(param_names) :], strict=True))


class Cell(nn.Module):
    """What the modules have in common: parameters, states and calls on tensors.

    The parameters are drawn with torch's generator, in the `dtype` that a module is made with: torch.float32
    or torch.float64, or torch's default dtype where it is None.

    Tensors are of the parameters' dtype, float32 or float64, and on the CPU. Where they are not contiguous,
    inputs are copied; tensors that `step` writes to must be. B is the batch, T the time, I the input size and
    H the hidden size.

    Attributes
    ----------
    input_size, hidden_size
        As given.
    threads
        At most so many threads for a call of this cell; 0, the default: `stpn_swift.get_num_threads()`.
    implementation
        The name of the kernel's implementation to use, one that `stpn_swift.show_config()` lists; None, the
        default: the fastest.
    """

    def __init__(self, numpy_cell: cell.Cell) -> None:
        """Takes over the options and the parameters of a cell for NumPy arrays."""
        super().__init__()
        self.input_size = numpy_cell.input_size
        self.hidden_size = numpy_cell.hidden_size
        self.threads = 0
        self.implementation: str | None = None
        self._usual = {**numpy_cell.OPTIONS, **numpy_cell.FIXED}
        self._operators = {
            dtype: _Operator(numpy_cell.config, dtype) for dtype in (torch.float32, torch.float64)
        }
        self._parameter_names = list(numpy_cell.params)
        self._get_parameters = attrgetter(*self._parameter_names)
        for name, array in numpy_cell.params.items():
            owner, _, leaf = name.rpartition(".")
            if owner and not hasattr(self, owner):
                self.add_module(owner, nn.ParameterDict())
            self.get_submodule(owner).register_parameter(leaf, nn.Parameter(torch.from_numpy(array)))

    @property
    def config(self) -> dict[str, Any]:
        """The options of the cell, as a dict that JSON can hold."""
        return self._operators[torch.float32].kernel.config

    def initial_state(self, batch: int) -> Tensors:
        """The state that a sequence begins with where none is given: zeros (B,...) by the names of
        docs/cells.md.

        Raises ValueError where the batch is negative or enormous.
        """
        operator, _ = self._operator()
        shapes = operator.kernel.state_shapes(batch)
        return {name: torch.zeros(shape, dtype=operator.dtype) for name, shape in shapes.items()}

    @overload
    def forward(
        self,
        x: Tensor,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        energy: Literal[False] = False,
    ) -> tuple[Tensor, Tensors]: ...
    @overload
    def forward(
        self,
        x: Tensor,
        state: Tensors | None = None,
        resets: Tensor | None = None,
        *,
        energy: Literal[True],
    ) -> tuple[Tensor, Tensors, Tensor]: ...
    def forward(
        self, x: Tensor, state: Tensors | None = None, resets: Tensor | None = None, energy: bool = False
    ) -> tuple[Tensor, Tensors] | tuple[Tensor, Tensors, Tensor]:
        """Runs whole sequences.

        Parameters
        ----------
        x
            (B,T,I).
        state
            The state before the first step, by name; None: zeros. It is not changed.
        resets
            (B,T) of bool or uint8: where it is set, every state of the sample is zeroed before that step, and
            no gradient flows past it.
        energy
            Whether to return, as a last value, what `energy` returns; it costs no second pass.

        Returns
        -------
        y
            (B,T,H), the activations.
        state
            The state after the last step.
        energy
            (B,T,H), where it is wanted; it has no gradient.

        Gradients reach x, the state and the parameters, from y and the final state. They are those of the
        call as it was, whatever became of the tensors since. There are no second derivatives.

        Raises
        ------
        TypeError
            An argument is no tensor, or of another dtype than the parameters.
        ValueError
            An argument is not on the CPU, or has another shape, or a dict other entries, than the cell's.
        """
        operator, params = self._operator()
        run = _Run(self.threads, self.implementation)
        tensors = [x, *params.values()]
        if state is not None:
            _check_dict("state", state)
            tensors += state.values()
        used: Tensor | None
        if _need_gradients(tensors):
            state_names = None if state is None else list(state)
            y, used, *final = _apply(
                _Sequence, operator, run, resets, energy, state_names, list(params), *tensors
            )
            final_state = dict(zip(operator.state_names, final, strict=True))
        else:
            y, final_state, used, _ = operator.forward(
                x, params, state, resets, run, with_energy=energy, with_tape=False
            )
        return (y, final_state) if used is None else (y, final_state, used)

    def energy(self, x: Tensor, state: Tensors | None = None, resets: Tensor | None = None) -> Tensor:
        """The energy that each neuron uses in each step, (B,T,H), as in docs/cells.md, section 2, without a
        gradient.

        Takes and refuses the same as `forward`.
        """
        with torch.no_grad():
            return self.forward(x, state, resets, energy=True)[2]

    def step(
        self, x_t: Tensor, state: Tensors, out: Tensor | None = None, energy: Tensor | None = None
    ) -> Tensor:
        """Runs one step in place, without gradients, for rollouts.

        Parameters
        ----------
        x_t
            (B,I).
        state
            Its tensors are replaced by the state after the step: contiguous, none overlapping another
            argument.
        out
            (B,H), where y is written to, under the same conditions; None: a new tensor.
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
            An argument is no tensor, or of another dtype than the parameters.
        ValueError
            An argument needs a gradient where gradients are enabled, is not on the CPU, or has another shape,
            or a dict other entries, than the cell's; the state, `out` or `energy` cannot be written in place.
        """
        operator, params = self._operator()
        _check_dict("state", state)
        for name, tensor in {
            "x_t": x_t,
            "out": out,
            "energy": energy,
            **{f"state['{k}']": v for k, v in state.items()},
        }.items():
            if _need_gradients([tensor]):
                raise ValueError(f"{name}: expected a tensor that needs no gradient, or torch.no_grad()")
        y = operator.step(out, state, energy, x_t, params, _Run(self.threads, self.implementation))
        written = [*state.values(), y] if energy is None else [*state.values(), y, energy]
        increment_version([tensor for tensor in written if not tensor.is_inference()])
        return y

    def _operator(self) -> tuple[_Operator, Tensors]:
        """The operator for the dtype of the parameters, and these."""
        params: Tensors = dict(zip(self._parameter_names, self._get_parameters(self), strict=True))
        dtype = params[self._parameter_names[0]].dtype
        if dtype not in self._operators:
            raise TypeError(f"parameters: expected torch.float32 or torch.float64, got {dtype}")
        return self._operators[dtype], params

    def extra_repr(self) -> str:
        """The sizes, and the options that are not the defaults."""
        options = self.config.items()
        return ", ".join(
            f"{name}={value!r}" for name, value in options if value != self._usual.get(name, ...)
        )


class _Drawn(TypedDict):
    """What a cell for NumPy arrays needs, beside its options, to have the parameters of a new module."""

    dtype: str
    seed: int


def _drawn(dtype: torch.dtype | None) -> _Drawn:
    """For parameters of this dtype, or torch's default one, drawn with torch's generator."""
    return {
        "dtype": _name(dtype or torch.get_default_dtype()),
        "seed": int(torch.randint(2**63 - 1, ())),
    }


class STPN(Cell):
    """Short-term plasticity neurons as a module; `stpn_swift.STPN` describes sizes, options, parameters and
    states."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: bool = True,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        super().__init__(cells.STPN(input_size, hidden_size, recurrent=recurrent, **_drawn(dtype), **options))


class STPNR(STPN):
    """Recurrent short-term plasticity neurons as a module, `STPN` with recurrent=True."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        # Not that of STPN, whose cell would have `recurrent` among its options.
        Cell.__init__(self, cells.STPNR(input_size, hidden_size, **_drawn(dtype), **options))


class STPNF(STPN):
    """Feed-forward short-term plasticity neurons as a module, `STPN` with recurrent=False."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        # As for STPNR.
        Cell.__init__(self, cells.STPNF(input_size, hidden_size, **_drawn(dtype), **options))


class HebbFF(Cell):
    """HebbFF as a module; `stpn_swift.HebbFF` describes sizes, options, parameters and states."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.HebbFFOptions],
    ) -> None:
        super().__init__(cells.HebbFF(input_size, hidden_size, **_drawn(dtype), **options))


class FastWeights(Cell):
    """Fast weights as a module; `stpn_swift.FastWeights` describes sizes, options, parameters and states."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.FastWeightsOptions],
    ) -> None:
        super().__init__(cells.FastWeights(input_size, hidden_size, **_drawn(dtype), **options))


class Modulated(Cell):
    """Modulated plasticity as a module; `stpn_swift.Modulated` describes sizes, options, parameters and
    states."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.ModulatedOptions],
    ) -> None:
        super().__init__(cells.Modulated(input_size, hidden_size, **_drawn(dtype), **options))


_MODULES: dict[type[cell.Cell], Callable[..., Cell]] = {
    cells.STPNR: STPNR,
    cells.STPNF: STPNF,
    cells.HebbFF: HebbFF,
    cells.FastWeights: FastWeights,
    cells.Modulated: Modulated,
}


def cell_from_config(config: Mapping[str, Any], *, dtype: torch.dtype | None = None) -> Cell:
    """The module that a config describes; `stpn_swift.cell_from_config` describes configs and errors.

    cell = cell_from_config({"cell": "stpn", "input_size": 37, "hidden_size": 11, "clamp": 0.1})
    """
    numpy_class, arguments = cells.read_config(config)
    return _MODULES[numpy_class](**arguments, dtype=dtype)
