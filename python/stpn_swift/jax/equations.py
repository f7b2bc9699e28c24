"""The cells of docs/cells.md in operations of JAX: a step over the whole batch, and `jax.lax.scan` over time.

They have every derivative and run on every device. B batch, T time, I input size, H hidden size, K width of
the presynaptic vector, P width of its plastic part.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

Array = jax.Array
Arrays = dict[str, Array]
Step = Callable[[Arrays, Arrays, Array], tuple[Arrays, Array, Array]]

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "relu": jax.nn.relu,
    "identity": lambda a: a,
}
MODULATORS = {"tanh": jnp.tanh, "sig": jax.nn.sigmoid, "lin": lambda a: a}


def read(G: Array, v: Array) -> Array:
    """(B,H,K) and (B,K) to (B,H)."""
    return jnp.einsum("bhk,bk->bh", G, v)


def outer(h: Array, v: Array) -> Array:
    """(B,H) and (B,K) to (B,H,K)."""
    return jnp.einsum("bh,bk->bhk", h, v)


def clip(array: Array, bound: float | None) -> Array:
    return array if bound is None else jnp.clip(array, -bound, bound)


def normalized(p: Arrays, a: Array) -> Array:
    """(B,H)."""
    centred = a - a.mean(1, keepdims=True)
    variance = (centred * centred).mean(1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + 1e-5) * p["layer_norm.weight"] + p["layer_norm.bias"]


def inverse_norm(p: Arrays, G: Array, axis: str) -> Array:
    """Equation 2, 1/n (B,H) of G (B,H,K); 0 where the norm is 0, without a gradient."""
    squares = (G * G).sum(2)
    if axis == "layer":
        squares = jnp.broadcast_to(squares.sum(1, keepdims=True), squares.shape)
    is_zero = squares == 0
    norm = jnp.sqrt(jnp.where(is_zero, 1, squares)) * p.get("norm_gain", 1)
    return jnp.where(is_zero, 0, 1 / (norm + 1e-16))


def stpn(
    p: Arrays,
    state: Arrays,
    x_t: Array,
    *,
    recurrent: bool,
    plastic: str,
    plasticity_shape: str,
    normalize: str | None,
    norm_axis: str,
    decay: str,
    rule: str,
    presynaptic: str,
    clamp: float | None,
    layer_norm: bool,
    activation: str,
    **_: bool,
) -> tuple[Arrays, Array, Array]:
    """Section 1; the parameters tell of the biases and the gain."""
    W, F = p["weight"], state["F"]
    I, K = x_t.shape[1], W.shape[1]  # noqa: E741
    columns = {"all": slice(0, K), "input": slice(0, I), "hidden": slice(I, K)}[plastic]
    margins = ((0, 0), (0, 0), (columns.start, K - columns.stop))
    rate_shape = {"synapse": F.shape[1:], "neuron": (-1, 1), "presynaptic": (1, -1), "scalar": ()}[
        plasticity_shape
    ]
    decays, rates = (p[name].reshape(rate_shape) for name in ("weight_lambda", "weight_gamma"))

    def effective(F: Array) -> Array:
        return W + jnp.pad(F, margins)

    v = jnp.concatenate([x_t, state["h"]], 1) if recurrent else x_t
    G = effective(F)
    r = None if normalize is None else inverse_norm(p, G, norm_axis)
    a = read(G, v) if r is None else read(G, v) * r
    a = a + p.get("bias", 0) + state.get("fb", 0)
    h = ACTIVATIONS[activation](normalized(p, a) if layer_norm else a)
    energy = read(jnp.abs(G), v * v) if r is None else read(jnp.abs(G), v * v) * jnp.abs(r)

    if normalize == "pre" and r is not None:
        F = F * r[:, :, None]
    if presynaptic == "current":
        v = jnp.concatenate([x_t, h], 1)
    u = v[:, columns]
    D = outer(h, u - jnp.einsum("bh,bhp->bp", h, F) if rule == "oja" else u)
    F = clip(decays * (F + rates * D) if decay == "prompt" else decays * F + rates * D, clamp)
    if normalize == "post":
        F = F * inverse_norm(p, effective(F), norm_axis)[:, :, None]
    new = {"F": F}
    if recurrent:
        new["h"] = h
    if "fb" in state:
        new["fb"] = clip(p["bias_lambda"] * state["fb"] + p["bias_gamma"] * h, clamp)
    return new, h, energy


def hebbff(p: Arrays, state: Arrays, x_t: Array, *, forced: bool, **_: bool) -> tuple[Arrays, Array, Array]:
    """Section 3."""
    F, G = state["F"], p["weight"] + state["F"]
    decay, rate = p["raw_lambda"], p["raw_gamma"]
    if forced:
        decay, rate = jax.nn.sigmoid(decay), -jnp.exp(rate)
    h = jax.nn.sigmoid(read(G, x_t) + p["bias"])
    return {"F": decay * F + rate * outer(h, x_t)}, h, read(jnp.abs(G), x_t * x_t)


def fast_weights(
    p: Arrays, state: Arrays, x_t: Array, *, inner_steps: int, layer_norm: bool, activation: str
) -> tuple[Arrays, Array, Array]:
    """Section 4."""

    def fire(a: Array) -> Array:
        return ACTIVATIONS[activation](normalized(p, a) if layer_norm else a)

    v = jnp.concatenate([x_t, state["h"]], 1)
    A = p["weight_lambda"] * state["F"] + p["weight_gamma"] * outer(state["h"], state["h"])
    z = v @ p["weight"].T + p["bias"]
    energy = (v * v) @ jnp.abs(p["weight"]).T
    h = fire(z)
    for _ in range(inner_steps):
        energy = energy + read(jnp.abs(A), h * h)
        h = fire(z + read(A, h))
    return {"h": h, "F": A}, h, energy


def modulated(
    p: Arrays, state: Arrays, x_t: Array, *, kind: str, addpw: int, da: str
) -> tuple[Arrays, Array, Array]:
    """Section 5."""
    previous, F = state["h"], state["F"]
    G = p["w"] + p["alpha"] * F
    h = jnp.tanh(x_t @ p["i2h.weight"].T + p["i2h.bias"] + read(G, previous))
    energy = (x_t * x_t) @ jnp.abs(p["i2h.weight"]).T + read(jnp.abs(G), previous * previous)
    D = outer(h, previous)
    new = {"h": h}
    if kind == "modul":
        M = state["E"]
        new["E"] = (1 - p["etaet"]) * M + p["etaet"] * D
    else:
        M = D
    if kind == "plastic":
        m = p["eta"].reshape(1, 1, 1)
    else:
        m = MODULATORS[da](h @ p["h2DA.weight"].T + p["h2DA.bias"])[:, :, None]
    if addpw == 0:
        new["F"] = (1 - m) * F + m * M
    elif addpw == 1:
        new["F"] = F + m * M
    elif addpw == 2:
        new["F"] = clip(F + m * M - jnp.abs(m * M) * F, 0.99999 if kind == "modul" else 1)
    else:
        new["F"] = clip(F + m * M, 1)
    return new, h, energy


CELLS: dict[str, Callable[..., tuple[Arrays, Array, Array]]] = {
    "stpn": stpn,
    "hebbff": hebbff,
    "fast_weights": fast_weights,
    "modulated": modulated,
}


def step_of(config: Mapping[str, Any]) -> Step:
    """From parameters, state and x_t (B,I) to the state after the step, y (B,H) and the energy (B,H)."""
    sizes = ("cell", "input_size", "hidden_size")
    options = {name: value for name, value in config.items() if name not in sizes}
    return partial(CELLS[config["cell"]], **options)


def sequence(
    config: Mapping[str, Any], params: Arrays, x: Array, state: Arrays, resets: Array | None
) -> tuple[Array, Arrays, Array]:
    """y (B,T,H), the final state and the energy (B,T,H)."""
    step = step_of(config)

    def advance(state: Arrays, inputs: tuple[Array, Array | None]) -> tuple[Arrays, tuple[Array, Array]]:
        x_t, reset = inputs
        if reset is not None:
            state = {
                name: jnp.where(reset.reshape(-1, *[1] * (array.ndim - 1)), 0, array)
                for name, array in state.items()
            }
        state, h, energy = step(params, state, x_t)
        return state, (h, energy)

    by_time = x.swapaxes(0, 1), None if resets is None else resets.swapaxes(0, 1) != 0
    final, (y, energy) = jax.lax.scan(advance, state, by_time)
    return y.swapaxes(0, 1), final, jax.lax.stop_gradient(energy.swapaxes(0, 1))
