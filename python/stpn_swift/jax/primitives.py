"""A sequence as a primitive of JAX: what each transformation makes of it.

`sequence` runs forward. Its derivative is `pushforward`, linear in the tangents, which is never computed but
only transposed, into `backward`. Primitives and not `jax.custom_vjp`: that is batched after it is
differentiated, so that each sample of a `vmap` would have a backward pass of its own; here `vmap` folds its
axis into the batch first, and the gradients for the parameters are summed in the kernel.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import compress
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import kernel
from .kernel import Array, Call
from .shards import vary_alike, varying_as

NO_FORWARD_MODE = (
    "stpn_swift.jax: the kernel has no forward-mode derivatives (jvp, jacfwd, linearize). Use reverse mode "
    '(grad, vjp, jacrev), or backend="scan", which has all derivatives.'
)
NO_SECOND_DERIVATIVE = (
    "stpn_swift.jax: gradients of the kernel cannot be differentiated again. "
    'Use backend="scan", which has all derivatives.'
)
NOT_HERE = (
    'stpn_swift.jax: the kernel computes on the CPU alone. Use backend="scan" on other devices, or '
    "jax.default_device(jax.devices('cpu')[0])."
)


def sequence(call: Call, inputs: Sequence[Array]) -> list[Array]:
    """y (B,T,H), the final state and, where the call has it, the energy (B,T,H), of x, the parameters, the
    state and the resets, as far as the call has them."""
    return list(_sequence.bind(*vary_alike(inputs), call=call, tape=False))


def _primitive(name: str, compute: Callable[..., Any], shapes: Callable[..., list[Any]]) -> Primitive:
    primitive = Primitive(f"stpn_{name}")
    primitive.multiple_results = True
    compiled = jax.jit(lambda *arrays, params: compute(*arrays, **dict(params)), static_argnames="params")
    primitive.def_impl(lambda *arrays, **params: compiled(*arrays, params=tuple(params.items())))
    primitive.def_abstract_eval(
        lambda first, *others, **params: [varying_as(first, one) for one in shapes(first, *others, **params)]
    )
    mlir.register_lowering(primitive, _refuse(ValueError, NOT_HERE))
    mlir.register_lowering(primitive, mlir.lower_fun(compute, multiple_results=True), platform="cpu")
    return primitive


def _refuse(error: type[Exception], message: str) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise error(message)

    return refuse


_sequence = _primitive(
    "sequence",
    lambda *inputs, call, tape: kernel.forward(call, tape, *inputs),
    lambda x, *_, call, tape: call.shapes(*x.shape[:2], tape),
)
_pushforward = _primitive(
    "pushforward",
    _refuse(TypeError, NO_FORWARD_MODE),
    lambda *_, call, sizes, wanted: call.shapes(*sizes, tape=False)[: 1 + len(call.states)],
)
_backward = _primitive(
    "backward",
    lambda tape, *grads, call, sizes, given, wanted, shapes: kernel.backward(
        call, sizes, given, wanted, shapes, tape, *grads
    ),
    lambda *_, shapes, **__: list(shapes),
)


def _differentiate(
    primals: Sequence[Array], tangents: Sequence[Any], *, call: Call, tape: bool
) -> tuple[list[Array], list[Any]]:
    if tape:
        raise TypeError(NO_SECOND_DERIVATIVE)
    *outputs, memory = _sequence.bind(*primals, call=call, tape=True)
    wanted = tuple(type(tangent) is not ad.Zero for tangent in tangents[: call.differentiable])
    given = compress(tangents, wanted)
    pushed = _pushforward.bind(memory, *given, call=call, sizes=primals[0].shape[:2], wanted=wanted)
    constant = outputs[len(pushed) :]
    return outputs, [*pushed, *(ad.Zero(jax.typeof(one).to_tangent_aval()) for one in constant)]


def _transpose(
    cotangents: Sequence[Any],
    tape: Array,
    *tangents: Any,
    call: Call,
    sizes: tuple[int, int],
    wanted: tuple[bool, ...],
) -> list[Any]:
    given = tuple(type(cotangent) is not ad.Zero for cotangent in cotangents)
    shapes = tuple(jax.ShapeDtypeStruct(t.aval.shape, t.aval.dtype) for t in tangents)
    sizes_and_masks = {"sizes": sizes, "given": given, "wanted": wanted, "shapes": shapes}
    return [None, *_backward.bind(tape, *compress(cotangents, given), call=call, **sizes_and_masks)]


def _fold(
    inputs: Sequence[Array], axes: Sequence[int | None], *, call: Call, tape: bool
) -> tuple[list[Array], list[int]]:
    """The mapped axis becomes a part of the batch; where every sample has parameters or, for per-sample
    gradients, a tape of its own, the samples are taken one after the other."""
    params = slice(1, 1 + len(call.params))
    if tape or any(axis is not None for axis in axes[params]):
        return _one_by_one(_sequence, inputs, axes, call=call, tape=tape)
    N = _axis_size(inputs, axes)
    B = inputs[0].shape[1 if axes[0] == 0 else 0]

    def fold(array: Array, axis: int | None) -> Array:
        stacked = jnp.broadcast_to(array, (N, *array.shape)) if axis is None else jnp.moveaxis(array, axis, 0)
        return stacked.reshape(N * B, *stacked.shape[2:])

    behind = params.stop
    folded = [fold(inputs[0], axes[0]), *inputs[params], *map(fold, inputs[behind:], axes[behind:])]
    outputs = _sequence.bind(*folded, call=call, tape=False)
    return [one.reshape(N, B, *one.shape[1:]) for one in outputs], [0] * len(outputs)


def _one_by_one(
    primitive: Primitive, inputs: Sequence[Array], axes: Sequence[int | None], **params: Any
) -> tuple[list[Array], list[int]]:
    mapped = [jnp.moveaxis(one, axis, 0) for one, axis in zip(inputs, axes, strict=True) if axis is not None]

    def run(mapped: list[Array]) -> list[Array]:
        row = iter(mapped)
        arrays = (one if axis is None else next(row) for one, axis in zip(inputs, axes, strict=True))
        return list(primitive.bind(*arrays, **params))

    outputs = jax.lax.map(run, mapped)
    return outputs, [0] * len(outputs)


def _axis_size(inputs: Sequence[Array], axes: Sequence[int | None]) -> int:
    return next(one.shape[axis] for one, axis in zip(inputs, axes, strict=True) if axis is not None)


ad.primitive_jvps[_sequence] = _differentiate
ad.primitive_transposes[_pushforward] = _transpose
ad.primitive_jvps[_pushforward] = _refuse(TypeError, NO_FORWARD_MODE)
ad.primitive_jvps[_backward] = _refuse(TypeError, NO_SECOND_DERIVATIVE)
batching.primitive_batchers[_sequence] = _fold
batching.primitive_batchers[_pushforward] = _refuse(TypeError, NO_FORWARD_MODE)
batching.primitive_batchers[_backward] = partial(_one_by_one, _backward)
