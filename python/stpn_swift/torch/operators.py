"""The kernel as operators of PyTorch, the same for eager and compiled code.

`stpn_swift::sequence` is the one that modules call. Where its result needs a gradient, autograd makes of it
`stpn_swift::forward`, which also returns a link and a tape, and `stpn_swift::backward`, to which these are
all there is of that call. The tape is what the kernel wrote; the link has no elements, and depends for
autograd on all that the gradients depend on. `stpn_swift::refused` stands in compiled code for derivatives
that nothing computes, and raises an error. The operators are functional: they return tensors that are new.

A cell travels as the text of `describe`, so that a graph with operators in it may outlive the process. What
the arguments are, in their order:

    x         (B,T,I)
    params    the parameters, in the order of the kernel
    state     the states before the first step, (B,...) each; none at all: zeros
    resets    (B,T) of bool or uint8
    energy    whether to return it
    threads, implementation    as those of a module

`sequence` returns y (B,T,H), the final states (B,...) each, and the energy (B,T,H) where it is wanted.
"""

import json
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any, NamedTuple, NoReturn, cast

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch._functorch.autograd_function import (  # type: ignore[attr-defined]
    enable_single_level_autograd_function,
)
from torch.autograd import forward_ad
from torch.utils._pytree import tree_leaves

from .. import _kernel

_CALL = """(Tensor x, Tensor[] params, Tensor[] state, Tensor? resets,
    str cell, bool energy, int threads, str? implementation) -> Tensor[]"""
_BACKWARD = """(Tensor tape, Tensor link, Tensor? grad_y, Tensor?[] grad_final,
    SymInt batch, SymInt time, bool[] wanted, str cell, int threads, str? implementation) -> Tensor[]"""

_library: Any = torch.library.Library("stpn_swift", "FRAGMENT")  # type: ignore[no-untyped-call]
_library.define("sequence" + _CALL)
_library.define("forward" + _CALL)
_library.define("backward" + _BACKWARD)
_library.define("refused(Tensor like, SymInt[] shape) -> Tensor")

_sequence = torch.ops.stpn_swift.sequence.default
_forward = torch.ops.stpn_swift.forward.default
_backward = torch.ops.stpn_swift.backward.default
_refused = torch.ops.stpn_swift.refused.default


def describe(config: dict[str, Any], dtype: torch.dtype) -> str:
    """A cell of a config and a dtype, as the operators take it."""
    return json.dumps({"config": config, "dtype": dtype_name(dtype), "tape": _tape_bound(config, dtype)})


def dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _tape_bound(config: dict[str, Any], dtype: torch.dtype) -> list[int]:
    """At most how many bytes of tape a call, a sample, a step and a step of a sample take, whatever the
    implementation: compiled code is for any B and T, so it has to know the size of a tape as an expression
    of these; it is kept for other processes, so the expression is in the description of the cell.

    The kernel rounds every part of a tape up to 64 bytes, so that at multiples of 64 nothing is rounded up.
    It may lay out a call of no more than a step in another way.
    """
    kernel, n = _kernel.Cell(config, dtype_name(dtype)), 64

    def bound(implementation: str) -> list[int]:
        def size(batch: int, time: int) -> int:
            return kernel.tape_size(batch, time, implementation)

        step_of_sample = (size(2 * n, 2 * n) - size(2 * n, n) - size(n, 2 * n) + size(n, n)) // n**2
        sample = (size(2 * n, n) - size(n, n)) // n - step_of_sample * n
        step = (size(n, 2 * n) - size(n, n)) // n - step_of_sample * n
        samples = [sample, *((size(2 * n, T) - size(n, T)) // n - step_of_sample * T for T in (0, 1))]
        calls = [size(0, T) - step * T for T in (0, 1, n)]
        rounded_up = 64 * 64
        return [max(calls) + rounded_up, max(samples), step, step_of_sample]

    bounds = [bound(name) for name, available, _ in _kernel.implementations() if available]
    return [max(column) for column in zip(*bounds, strict=True)]


class _Description(NamedTuple):
    kernel: _kernel.Cell
    dtype: torch.dtype
    input_size: int
    hidden_size: int
    params: dict[str, tuple[int, ...]]
    states: dict[str, tuple[int, ...]]  # of one sample
    tape: list[int]


@lru_cache(maxsize=1024)
def _described(cell: str) -> _Description:
    description = json.loads(cell)
    config, dtype = description["config"], description["dtype"]
    kernel = _kernel.Cell(config, dtype)
    return _Description(
        kernel,
        getattr(torch, dtype),
        config["input_size"],
        config["hidden_size"],
        {name: shape for name, shape, *_ in kernel.parameters},
        {name: shape for name, shape, *_ in kernel.states},
        description["tape"],
    )


def tape_size(cell: str, batch: int, time: int) -> int:
    """The bytes of the tape of a call: what the kernel needs, or a little more. A multiple of 8, so that the
    tapes in a stack are aligned."""
    call, sample, step, step_of_sample = _described(cell).tape
    return (call + sample * batch + step * time + step_of_sample * batch * time + 7) // 8 * 8


def _array(tensor: Tensor | None) -> NDArray[Any] | None:
    return None if tensor is None else tensor.numpy(force=True)


def _arrays(names: Iterable[str], tensors: Iterable[Tensor | None]) -> dict[str, Any]:
    return dict(zip(names, map(_array, tensors), strict=True))


# What they return, before it is computed: that is all that compilers know of them.


def _outputs(
    x: Tensor,
    params: list[Tensor],
    state: list[Tensor],
    resets: Tensor | None,
    cell: str,
    energy: bool,
    *_: Any,
    with_tape: bool,
) -> list[Tensor]:
    known = _described(cell)
    H = known.hidden_size
    if x.ndim != 3 or x.shape[2] != known.input_size:
        raise ValueError(f"x: expected shape (B, T, {known.input_size}), got {tuple(x.shape)}")
    B, T, _I = x.shape
    outputs = [x.new_empty(B, T, H), *(x.new_empty(B, *shape) for shape in known.states.values())]
    if energy:
        outputs.append(x.new_empty(B, T, H))
    if with_tape:
        outputs += [x.new_empty(0), x.new_empty(tape_size(cell, B, T), dtype=torch.uint8)]
    return outputs


def _gradients(
    tape: Tensor,
    link: Tensor,
    grad_y: Tensor | None,
    grad_final: list[Tensor | None],
    batch: int,
    time: int,
    wanted: list[bool],
    cell: str,
    *_: Any,
) -> list[Tensor | None]:
    """For the first so many of x, the parameters and the states, where they are wanted."""
    known = _described(cell)
    shapes = [(batch, time, known.input_size), *known.params.values()]
    shapes += [(batch, *shape) for shape in known.states.values()]
    if len(wanted) > len(shapes):
        raise ValueError(f"wanted: expected {len(shapes)} or fewer, got {len(wanted)}")
    pairs = zip(wanted, shapes, strict=False)
    return [link.new_empty(shape) if want else None for want, shape in pairs]


def _present(tensors: list[Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors if tensor is not None]


def _new_gradients(*call: Any) -> list[Tensor]:
    return _present(_gradients(*call))


def _on_one_device(*call: Any, with_tape: bool) -> list[Tensor]:
    """With a tensor on the device "meta" in it, PyTorch takes this for the results of any call."""
    x, params, state, resets, *_ = call
    for tensor in (*params, *state, *_present([resets])):
        if tensor.device != x.device:
            raise ValueError(f"x: expected the device of all tensors, {tensor.device}, got {x.device}")
    return _outputs(*call, with_tape=with_tape)


torch.library.register_fake("stpn_swift::sequence", partial(_on_one_device, with_tape=False), lib=_library)
torch.library.register_fake("stpn_swift::forward", partial(_on_one_device, with_tape=True), lib=_library)
torch.library.register_fake("stpn_swift::backward", _new_gradients, lib=_library)


# What they compute.


def _run(*call: Any, with_tape: bool) -> list[Tensor]:
    x, params, state, resets, cell, energy, threads, implementation = call
    known = _described(cell)
    outputs = _outputs(*call, with_tape=with_tape)
    arrays = [tensor.numpy() for tensor in outputs]
    count = 1 + len(known.states)
    known.kernel.forward(
        arrays[0],
        dict(zip(known.states, arrays[1:], strict=False)),
        arrays[count] if energy else None,
        x.numpy(force=True),
        _arrays(known.params, params),
        _arrays(known.states, state) if state else None,
        _array(resets),
        arrays[-1] if with_tape else None,
        threads,
        implementation,
    )
    return outputs


def _run_back(*call: Any) -> list[Tensor]:
    tape, _, grad_y, grad_final, batch, time, _, cell, threads, implementation = call
    known = _described(cell)
    grads = _gradients(*call)
    first_state = 1 + len(known.params)
    known.kernel.backward(
        _array(grads[0]),
        _arrays(known.params, grads[1:first_state]),
        _arrays(known.states, grads[first_state:]) if len(grads) > first_state else None,
        _array(grad_y),
        _arrays(known.states, grad_final),
        tape.numpy(),
        batch,
        time,
        threads,
        implementation,
    )
    return _present(grads)


_library.impl("sequence", partial(_run, with_tape=False), "CPU")
_library.impl("forward", partial(_run, with_tape=True), "CPU")
_library.impl("backward", _run_back, "CPU")


# What autograd does with them. Under `torch.func` that is one level of several, and an operator that is
# called below autograd goes to the next.


def _refuse(ctx: Any, *_: Any) -> NoReturn:
    raise RuntimeError(
        "stpn_swift: the kernel has no second derivatives and none in forward mode; a cell with "
        'backend="torch" has them'
    )


class _Sequence(torch.autograd.function._SingleLevelFunction):
    @staticmethod
    def forward(
        ctx: Any,
        resets: Tensor | None,
        cell: str,
        energy: bool,
        threads: int,
        implementation: str | None,
        x: Tensor,
        *tensors: Tensor,
    ) -> tuple[Tensor, ...]:
        count = len(_described(cell).params)
        params, state = list(tensors[:count]), list(tensors[count:])
        results = _below(_forward, x, params, state, resets, cell, energy, threads, implementation)
        *outputs, link, tape = results
        if energy:
            ctx.mark_non_differentiable(outputs[-1])
        ctx.sizes, ctx.cell, ctx.run = x.shape[:2], cell, (threads, implementation)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(tape, link)
        return (*outputs, link)

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, *grad_others: Tensor | None) -> tuple[Tensor | None, ...]:
        wanted = list(ctx.needs_input_grad[5:])
        grad_final = list(grad_others[: len(_described(ctx.cell).states)])
        call = *ctx.saved_tensors, grad_y, grad_final, *ctx.sizes, wanted, ctx.cell, *ctx.run
        grads = iter(_backward(*call) if torch.is_grad_enabled() else _below(_backward, *call))
        return *[None] * 5, *(next(grads) if want else None for want in wanted)

    jvp = staticmethod(_refuse)


class _Once(torch.autograd.function._SingleLevelFunction):
    """Results that refuse to be differentiated; else a loss that has them would take them for constants."""

    @staticmethod
    def forward(ctx: Any, results: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        ctx.shapes = [tensor.shape for tensor in inputs]
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        if torch.compiler.is_compiling():  # which wants code for it, whether it will be run or not
            return None, *(_refused(grads[0], shape) for shape in ctx.shapes)
        _refuse(ctx)

    jvp = staticmethod(_refuse)


def _differentiable(*call: Any) -> list[Tensor]:
    x, params, state, *others = call
    backward = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *params, *state))
    if not backward and not _in_forward_mode():
        return _below(_sequence, *call)
    results = _apply(_Sequence, *others, x, *params, *state)
    return list(results[:-1])


def sequence(*call: Any) -> list[Tensor]:
    """The operator, as modules call it. Where autograd is the first that it would come to, it begins there:
    the dispatcher takes 4 µs to find Python code and to hand its arguments over."""
    others_first = (
        torch.compiler.is_compiling() or torch._C._is_tracing() or torch._C._are_functorch_transforms_active()
    )
    results: list[Tensor] = _sequence(*call) if others_first else _differentiable(*call)
    return results


def _once(operator: Callable[..., list[Tensor]]) -> Callable[..., list[Tensor]]:
    def call(*arguments: Any) -> list[Tensor]:
        results = _below(operator, *arguments)
        if torch.is_grad_enabled() or _in_forward_mode():
            inputs = [leaf for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)]
            return list(_apply(_Once, results, *inputs))
        return results

    return call


def _in_forward_mode() -> bool:
    return forward_ad._current_level >= 0


def _below(operator: Callable[..., list[Tensor]], *arguments: Any) -> list[Tensor]:
    with torch._C._AutoDispatchBelowAutograd():
        if not torch._C._are_functorch_transforms_active():
            return operator(*arguments)
        # The levels below differentiate, though a Function at this one disables it.
        with torch.enable_grad(), forward_ad._set_fwd_grad_enabled(True):
            return operator(*arguments)


def _apply(function: Any, *arguments: Any) -> tuple[Any, ...]:
    if not torch._C._are_functorch_transforms_active():
        return cast(tuple[Any, ...], function.apply(*arguments))
    with enable_single_level_autograd_function():
        return cast(tuple[Any, ...], function.apply(*arguments))


torch.library.register_fake("stpn_swift::refused", lambda like, shape: like.new_empty(shape), lib=_library)
_library.impl("refused", _refuse, "CPU")
_library.impl("sequence", _differentiable, "Autograd")
_library.impl("forward", _once(_forward), "Autograd")
_library.impl("backward", _once(_backward), "Autograd")


# What torch.func.vmap does with them.


def _one_by_one(
    operator: Callable[..., list[Tensor]], of_none: Callable[..., list[Tensor]] | None = None
) -> Callable[..., tuple[list[Tensor], list[int]]]:
    """A call for each of a stack; for an empty one a call of zeros, which has the shapes, of `of_none` if
    there is such."""

    def rule(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[list[Tensor], list[int]]:
        N = info.batch_size

        def select(argument: Any, dim: Any, index: int) -> Any:
            if isinstance(dim, (list, tuple)):
                return [select(*pair, index) for pair in zip(argument, dim, strict=True)]
            if dim is None:
                return argument
            # A sum of nothing is zeros that depend on it for autograd.
            return argument.select(dim, index) if N else argument.sum(dim, dtype=argument.dtype)

        call = operator if N or of_none is None else of_none
        calls = [
            call(*(select(*pair, index) for pair in zip(arguments, in_dims, strict=True)))
            for index in range(N or 1)
        ]
        results = [torch.stack(column)[:N] for column in zip(*calls, strict=True)]
        return results, [0] * len(results)

    return rule


def _as_one_batch(info: Any, in_dims: tuple[Any, ...], *call: Any) -> tuple[list[Tensor], list[int]]:
    """Samples do not meet, so that with the same parameters for all it is one call on N·B samples."""
    x_dim, params_dims, state_dims, resets_dim, *_ = in_dims
    if any(dim is not None for dim in params_dims):
        return _one_by_one(_sequence)(info, in_dims, *call)
    N = info.batch_size
    x, params, state, resets, *others = call

    def fold(tensor: Tensor, dim: int | None) -> Tensor:
        stack = tensor.expand(N, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        return stack.flatten(0, 1)

    state = [fold(*pair) for pair in zip(state, state_dims, strict=True)]
    resets = None if resets is None else fold(resets, resets_dim)
    B = x.shape[1 if x_dim == 0 else 0]
    results = _sequence(fold(x, x_dim), params, state, resets, *others)
    return [result.unflatten(0, (N, B)) for result in results], [0] * len(results)


if hasattr(torch.library, "register_vmap"):  # since PyTorch 2.5
    torch.library.register_vmap("stpn_swift::sequence", _as_one_batch, lib=_library)
    torch.library.register_vmap("stpn_swift::forward", _one_by_one(_forward), lib=_library)
    torch.library.register_vmap("stpn_swift::backward", _one_by_one(_backward, _new_gradients), lib=_library)


# What torch.autograd.grad does with them for is_grads_batched=True, which has a vmap of its own, older than
# that of torch.func: it wraps the gradients that come in, and nothing else.


def _of_batched_grads(*call: Any) -> list[Tensor]:
    tape, link, grad_y, grad_final, *others = call
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()

    # With the axis of the batch first, which is of size 1 in one that has none.
    grads = [
        grad if grad is None else torch._remove_batch_dim(grad, level, 1, 0) for grad in (grad_y, *grad_final)
    ]
    N = max(len(grad) for grad in _present(grads))
    columns = [[None] * N if grad is None else grad.expand(N, *grad.shape[1:]).unbind() for grad in grads]
    calls = [_backward(tape, link, of_y, of_final, *others) for of_y, *of_final in zip(*columns, strict=True)]
    return [torch._add_batch_dim(torch.stack(results), 0, level) for results in zip(*calls, strict=True)]


_library.impl("backward", _of_batched_grads, "Batched")
