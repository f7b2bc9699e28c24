"""The cells of docs/cells.md in JAX: a step over the whole batch, `jax.lax.scan` over time, and `jax.jit`
around all; with the options that the benchmarks need and no others.

The forms that were fastest of those tried: einsum for the read and for the outer product, and no unrolling of
the scan.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import stpn_swift

from .problem import Problem

# Not by an import statement: its types would be checked on machines that have it and be missing on others.
jax = importlib.import_module("jax")
jnp = importlib.import_module("jax.numpy")
kernel = importlib.import_module("stpn_swift.jax")
jax.config.update("jax_enable_x64", True)  # allows float64; what is float32 stays it

Array = Any
Tree = dict[str, Array]
Step = Callable[[Tree, Tree, Array], tuple[Tree, Array]]  # parameters, state, x_t (B,I); state, y (B,H)
Run = Callable[[Tree, Array], tuple[Array, Tree]]  # parameters, x (B,T,I); y (B,T,H), state


def renew_threads() -> None:
    """As many threads from now on as this thread may use cores; arrays that there are are lost."""
    importlib.import_module("jax.extend.backend").clear_backends()


def kernel_is_there() -> bool:
    """Whether `python -m stpn_swift.jax.build` has compiled the custom calls."""
    there: bool = importlib.import_module("stpn_swift.jax.ffi").available()
    return there


def read(G: Array, v: Array) -> Array:
    """(B,H,K) and (B,K) to (B,H)."""
    return jnp.einsum("bhk,bk->bh", G, v)


def outer(h: Array, v: Array) -> Array:
    """(B,H) and (B,K) to (B,H,K)."""
    return jnp.einsum("bh,bk->bhk", h, v)


def inverse_norm(G: Array) -> Array:
    """(B,H,K) to (B,H)."""
    return 1 / (jnp.linalg.norm(G, axis=2) + 1e-16)


def stpn(
    p: Tree,
    state: Tree,
    x_t: Array,
    *,
    recurrent: bool = True,
    plasticity_shape: str = "synapse",
    normalize: str | None = "pre",
    clamp: float | None = None,
) -> tuple[Tree, Array]:
    """Section 1; Λ and Γ of every shape are broadcast."""
    v = jnp.concatenate([x_t, state["h"]], 1) if recurrent else x_t
    F = state["F"]
    G = p["weight"] + F
    a = read(G, v)
    if normalize is not None:
        r = inverse_norm(G)
        a = a * r
        if normalize == "pre":
            F = F * r[:, :, None]
    h = jnp.tanh(a + p["bias"])
    F = p["weight_lambda"] * F + p["weight_gamma"] * outer(h, v)
    if clamp is not None:
        F = jnp.clip(F, -clamp, clamp)
    if normalize == "post":
        F = F * inverse_norm(p["weight"] + F)[:, :, None]
    return ({"h": h, "F": F} if recurrent else {"F": F}), h


def hebbff(p: Tree, state: Tree, x_t: Array) -> tuple[Tree, Array]:
    """Section 3."""
    F = state["F"]
    h = jax.nn.sigmoid(read(p["weight"] + F, x_t) + p["bias"])
    F = jax.nn.sigmoid(p["raw_lambda"]) * F - jnp.exp(p["raw_gamma"]) * outer(h, x_t)
    return {"F": F}, h


def layer_norm(p: Tree, a: Array) -> Array:
    """(B,H)."""
    centred = a - a.mean(1, keepdims=True)
    variance = (centred * centred).mean(1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * p["layer_norm.weight"] + p["layer_norm.bias"]


def fast_weights(p: Tree, state: Tree, x_t: Array) -> tuple[Tree, Array]:
    """Section 4, one inner step with layer norm and tanh."""
    h, A = state["h"], state["F"]
    z = jnp.concatenate([x_t, h], 1) @ p["weight"].T + p["bias"]
    A = p["weight_lambda"] * A + p["weight_gamma"] * outer(h, h)
    h = jnp.tanh(layer_norm(p, z))
    h = jnp.tanh(layer_norm(p, z + read(A, h)))
    return {"h": h, "F": A}, h


def modulated(p: Tree, state: Tree, x_t: Array) -> tuple[Tree, Array]:
    """Section 5, "modplast" with addpw 3 and tanh."""
    previous, F = state["h"], state["F"]
    h = jnp.tanh(x_t @ p["i2h.weight"].T + p["i2h.bias"] + read(p["w"] + p["alpha"] * F, previous))
    m = jnp.tanh(h @ p["h2DA.weight"].T + p["h2DA.bias"])
    F = jnp.clip(F + outer(m * h, previous), -1, 1)
    return {"h": h, "F": F}, h


CELLS: dict[str, Callable[..., tuple[Tree, Array]]] = {
    "stpn": stpn,
    "hebbff": hebbff,
    "fast_weights": fast_weights,
    "modulated": modulated,
}


def step_from_config(config: dict[str, Any]) -> Step:
    sizes = ("cell", "input_size", "hidden_size")
    options = {name: value for name, value in config.items() if name not in sizes}
    return partial(CELLS[config["cell"]], **options)


def initial_state(problem: Problem) -> Tree:
    cell = stpn_swift.cell_from_config(problem.row.config, dtype=str(problem.x.dtype))
    return {name: jnp.zeros_like(zeros) for name, zeros in cell.initial_state(problem.row.B).items()}


def scanned(problem: Problem, *, checkpoint: bool = False) -> tuple[Step, Run]:
    """By `jax.lax.scan`, with or without `jax.checkpoint` around every step."""
    step = step_from_config(problem.row.config)
    inner = jax.checkpoint(step) if checkpoint else step

    def run(params: Tree, x: Array) -> tuple[Array, Tree]:
        final, y = jax.lax.scan(partial(inner, params), initial_state(problem), x.swapaxes(0, 1))
        return y.swapaxes(0, 1), final

    return step, run


def by_kernel(problem: Problem, backend: str = "ffi") -> tuple[Step, Run]:
    """By `stpn_swift.jax`."""
    dtype = str(problem.x.dtype)
    cell = kernel.cell_from_config(problem.row.config, key=jax.random.key(0), dtype=dtype, backend=backend)

    def step(params: Tree, state: Tree, x_t: Array) -> tuple[Tree, Array]:
        y, state = replace(cell, params=params).step(x_t, state)
        return state, y

    return step, lambda params, x: replace(cell, params=params)(x)


class Peer:
    """A step, and a loop over time, compiled."""

    def __init__(self, problem: Problem, step: Step, run: Run) -> None:
        self.params = {name: jnp.asarray(value) for name, value in problem.params.items()}
        self.x, self.grad_y = jnp.asarray(problem.x), jnp.asarray(problem.grad_y)
        self.x_t, self.state = self.x[:, 0], initial_state(problem)

        def run_and_back(params: Tree, x: Array, grad_y: Array) -> tuple[Array, Tree, Tree]:
            y, back, final = jax.vjp(lambda params: run(params, x), params, has_aux=True)
            return y, final, back(grad_y)[0]

        self._forward, self._train = jax.jit(run), jax.jit(run_and_back)
        self._step = jax.jit(step, donate_argnums=1)

    def forward(self) -> dict[str, Any]:
        y, state = jax.block_until_ready(self._forward(self.params, self.x))
        return {"y": y, **state}

    def train(self) -> dict[str, Any]:
        y, state, gradients = jax.block_until_ready(self._train(self.params, self.x, self.grad_y))
        return {"y": y, **state, **gradients}

    def step(self) -> tuple[Any, dict[str, Any]]:
        self.state, y = jax.block_until_ready(self._step(self.params, self.state, self.x_t))
        return y, self.state


class JaxPeer(Peer):
    """The backward pass keeps what XLA finds it needs of each step."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, *scanned(problem))


class CheckpointedJaxPeer(Peer):
    """Every step is computed again on the way back, which costs less time than to keep it where matrices are
    large."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, *scanned(problem, checkpoint=True))


class KernelPeer(Peer):
    """stpn_swift by custom calls of XLA."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, *by_kernel(problem))


class CallbackPeer(Peer):
    """stpn_swift where these are not compiled."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, *by_kernel(problem, "callback"))
