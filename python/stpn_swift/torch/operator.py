"""The calls of a cell on tensors, and what autograd does with a sequence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar, cast

import torch
from numpy.typing import NDArray
from torch import Tensor

from .. import _kernel

Tensors = dict[str, Tensor]
T = TypeVar("T")


class Run(NamedTuple):
    """How a call runs; see `Cell`."""

    threads: int
    implementation: str | None


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _array(name: str, tensor: Tensor, *dtypes: torch.dtype, entry: str | None = None) -> NDArray[Any]:
    """The array on the memory of a tensor."""
    if (
        isinstance(tensor, Tensor)
        and tensor.dtype in dtypes
        and tensor.is_cpu
        and tensor.layout is torch.strided
    ):
        return (tensor.detach() if tensor.requires_grad else tensor).numpy()
    if entry is not None:
        name = f"{name}['{entry}']"
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a Tensor, got {type(tensor).__name__}")
    if tensor.dtype not in dtypes:
        raise TypeError(f"{name}: expected {' or '.join(map(str, dtypes))}, got {tensor.dtype}")
    raise ValueError(f"{name}: expected a dense tensor on the CPU, got {tensor.layout} on {tensor.device}")


def _arrays(name: str, tensors: Mapping[str, Tensor | None], dtype: torch.dtype) -> dict[str, Any]:
    """The arrays on the memory of tensors; None stays None."""
    return {
        entry: None if tensor is None else _array(name, tensor, dtype, entry=entry)
        for entry, tensor in tensors.items()
    }


def check_dict(name: str, tensors: object) -> None:
    if not isinstance(tensors, dict):
        raise TypeError(f"{name}: expected a dict of tensors, got {type(tensors).__name__}")


def need_gradients(tensors: Iterable[object]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(t, Tensor) and t.requires_grad for t in tensors)


class Operator:
    """The calls of a cell on tensors; autograd sees none of them."""

    def __init__(self, config: dict[str, Any], dtype: torch.dtype) -> None:
        self.kernel = _kernel.Cell(config, dtype_name(dtype))
        self.dtype = dtype
        self.hidden_size: int = config["hidden_size"]
        self.state_names = [name for name, *_ in self.kernel.states]
        self._last_params: tuple[list[Any], dict[str, Any]] = ([], {})

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last_params": ([], {})}

    def _params(self, params: Tensors) -> dict[str, Any]:
        """The arrays of the parameters: those of the call before, where these are still where they
        were, as in a rollout. The arrays keep that memory from any other use."""
        known, arrays = self._last_params
        places = [(p.data_ptr(), p.shape, p.stride(), p.dtype) for p in params.values()]
        if places != known:
            arrays = _arrays("params", params, self.dtype)
            self._last_params = (places, arrays)
        return arrays

    def empty(self, shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=self.dtype)

    def forward(
        self,
        x: Tensor,
        params: Tensors,
        state: Tensors | None,
        resets: Tensor | None,
        run: Run,
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
        run: Run,
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
        run: Run,
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
            self._params(params),
            *run,
        )
        return y


class SequenceFunction(torch.autograd.Function):
    """`Operator.forward` for autograd: the tensors that may need gradients are the last arguments, in a
    row."""

    @staticmethod
    def forward(
        ctx: Any,
        operator: Operator,
        run: Run,
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
            grads = list(apply(_Once, grads, *ctx.differentiable))
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


def apply(function: type[torch.autograd.Function], *arguments: Any) -> tuple[Any, ...]:
    return cast(tuple[Any, ...], function.apply(*arguments))  # type: ignore[no-untyped-call]


def _split(
    tensors: Sequence[T], param_names: list[str], state_names: list[str] | None
) -> tuple[dict[str, T], dict[str, T] | None]:
    """By name: the first of the tensors as parameters, the others, if there is one, as a state."""
    params = dict(zip(param_names, tensors, strict=False))
    if state_names is None:
        return params, None
    return params, dict(zip(state_names, tensors[len(param_names) :], strict=True))
