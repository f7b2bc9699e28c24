"""A network in JAX around a cell of jax_peer.py: loss, gradients and Adam in one compiled function."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

from .jax_peer import Array, Run, Step, Tree
from .problem import EPSILON, RATE, Problem

jax = importlib.import_module("jax")
jnp = importlib.import_module("jax.numpy")

BETAS = 0.9, 0.999
Trees = dict[str, Tree]


def adam(params: Trees, mean: Trees, square: Trees, gradients: Trees, steps: Array) -> tuple[Trees, ...]:
    """The first three after the last of so many steps (Kingma & Ba 2015, algorithm 1)."""
    beta1, beta2 = BETAS
    mean = jax.tree.map(lambda m, g: beta1 * m + (1 - beta1) * g, mean, gradients)
    square = jax.tree.map(lambda s, g: beta2 * s + (1 - beta2) * g * g, square, gradients)

    def move(p: Array, m: Array, s: Array) -> Array:
        rate, scale = RATE / (1 - beta1**steps), jnp.sqrt(1 - beta2**steps)
        return p - rate.astype(p.dtype) * m / (jnp.sqrt(s) / scale.astype(p.dtype) + EPSILON)

    return jax.tree.map(move, params, mean, square), mean, square


class JaxNetwork:
    """All that an update changes is given back to it: its memory is used again."""

    def __init__(self, cell: Callable[[Problem], tuple[Step, Run]], problem: Problem) -> None:
        _, run = cell(problem)
        self.x, self.targets = jnp.asarray(problem.x), jnp.asarray(problem.targets)
        params = jax.tree.map(jnp.array, {"cell": problem.params, "readout": problem.readout})
        self.state = params, *(jax.tree.map(jnp.zeros_like, params) for _ in range(2)), jnp.array(0)

        def loss_of(params: Trees, x: Array, targets: Array) -> Array:
            y, _ = run(params["cell"], x)
            logits = y[:, -1] @ params["readout"]["weight"].T + params["readout"]["bias"]
            chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), targets[:, None], 1)
            return -chosen.mean()

        @partial(jax.jit, donate_argnums=0)
        def update(state: Any, x: Array, targets: Array) -> tuple[Array, Any]:
            params, mean, square, steps = state
            loss, gradients = jax.value_and_grad(loss_of)(params, x, targets)
            return loss, (*adam(params, mean, square, gradients, steps + 1), steps + 1)

        self._update = update

    def update(self) -> dict[str, Any]:
        loss, self.state = jax.block_until_ready(self._update(self.state, self.x, self.targets))
        named = {f"{part}.{name}": a for part, arrays in self.state[0].items() for name, a in arrays.items()}
        return {"loss": loss, **named}
