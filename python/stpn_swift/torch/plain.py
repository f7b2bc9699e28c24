"""The cells of docs/cells.md in PyTorch's own operations: for any device and floating dtype, and
differentiable as often as one likes. Slower than the kernel, whose results it has. The numbers in the code
are those of the equations.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from .checks import check_floating, check_shape, check_state

Config = Mapping[str, Any]
Tensors = dict[str, Tensor]
Stepped = tuple[Tensor, Tensors, Tensor | None]


class Step(Protocol):
    """A step of a cell: h (B,H), the next state and, where it is wanted, the energy (B,H)."""

    def __call__(
        self, config: Config, params: Mapping[str, Tensor], x_t: Tensor, state: Tensors, energy: bool
    ) -> Stepped: ...


def sequence(
    config: Config,
    x: Tensor,
    params: Mapping[str, Tensor],
    state: Tensors | None = None,
    resets: Tensor | None = None,
    *,
    energy: bool = False,
) -> tuple[Tensor, Tensors, Tensor | None]:
    """Runs whole sequences of a cell (docs/cells.md).

        cell = stpn_swift.torch.STPNR(37, 11)
        y, state, _ = sequence(cell.config, x, dict(cell.named_parameters()))

    Autograd differentiates what it computes, also twice. B is the batch, T the time, I the input size and H
    the hidden size.

    Parameters
    ----------
    config
        All options of a cell, as `Cell.config` has them. "stpn" and "hebbff" may have one more, which the
        kernel does not know: "squashed", whether F goes through the activation in its update, Λ∘φ(F) in the
        place of Λ∘F, as in section 6.
    x
        (B,T,I).
    params
        By the names and in the shapes of `Cell.params`, of x's dtype and on its device.
    state
        The state before the first step, by name; None: zeros.
    resets
        (B,T) of bool or uint8: where it is set, every state of the sample is zeroed before that step, and no
        gradient flows past it.
    energy
        Whether to return, as a last value, the energy of section 2.

    Returns
    -------
    y
        (B,T,H), the activations.
    state
        The state after the last step.
    energy
        (B,T,H) without a gradient, or None.

    Raises
    ------
    TypeError
        x is of no floating dtype.
    ValueError
        x, the state or the resets have another shape, or the state other entries, than the cell's.
    """
    input_size = config["input_size"]
    if x.ndim != 3 or x.shape[2] != input_size:
        raise ValueError(f"x: expected shape (B, T, {input_size}), got {tuple(x.shape)}")
    check_floating("x", x.dtype)
    B, T, _ = x.shape
    shapes = _state_shapes(config)
    if state is None:
        state = {name: x.new_zeros(B, *shape) for name, shape in shapes.items()}
    check_state(state, shapes, (B,))
    if resets is not None:
        check_shape("resets", resets, (B, T))

    step = _STEPS[config["cell"]]
    outputs: list[Tensor] = []
    energies: list[Tensor] = []
    for t in range(T):
        if resets is not None:
            state = _reset(state, resets[:, t].bool())
        h, state, used = step(config, params, x[:, t], state, energy)
        outputs.append(h)
        if used is not None:
            energies.append(used)

    def stacked(steps: list[Tensor]) -> Tensor:
        if steps:
            return torch.stack(steps, 1)
        # Nothing, which has gradients of 0 all the same.
        inputs = (x, *params.values(), *state.values())
        return torch.stack([tensor.sum() for tensor in inputs]).sum().expand(B, 0, config["hidden_size"])

    return stacked(outputs), state, stacked(energies).detach() if energy else None


def _state_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Of one sample."""
    H = config["hidden_size"]
    shapes: dict[str, tuple[int, ...]] = {}
    if config.get("recurrent", True):
        shapes["h"] = (H,)
    if config["cell"] in ("stpn", "hebbff"):
        first, last = _plastic_columns(config)
        shapes["F"] = (H, last - first)
    else:
        shapes["F"] = (H, H)
    if config.get("plastic_bias"):
        shapes["fb"] = (H,)
    if config.get("kind") == "modul":
        shapes["E"] = (H, H)
    return shapes


def _reset(state: Tensors, where: Tensor) -> Tensors:
    """The state with that of some samples, where (B), zeroed."""
    return {
        name: tensor.masked_fill(where.view(-1, *[1] * (tensor.ndim - 1)), 0)
        for name, tensor in state.items()
    }


_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "identity": lambda a: a,
    "sig": torch.sigmoid,
    "lin": lambda a: a,
}


def _activate(config: Config, params: Mapping[str, Tensor], a: Tensor) -> Tensor:
    """(4), behind the layer norm."""
    if config.get("layer_norm"):
        gain, bias = params["layer_norm.weight"], params["layer_norm.bias"]
        a = functional.layer_norm(a, a.shape[-1:], gain, bias, eps=1e-5)
    return _ACTIVATIONS[config["activation"]](a)


def _read(G: Tensor, v: Tensor) -> Tensor:
    """G · v (B,H) of G (B,H,K) or (H,K) and v (B,K)."""
    return (G * v.unsqueeze(1)).sum(2)


def _outer(h: Tensor, u: Tensor) -> Tensor:
    """h uᵀ (B,H,P) of h (B,H) and u (B,P)."""
    return h.unsqueeze(2) * u.unsqueeze(1)


def _energy(G: Tensor, v: Tensor) -> Tensor:
    """(10), without its division."""
    return _read(G.detach().abs(), v.detach().square())


def _plastic_columns(config: Config) -> tuple[int, int]:
    """The first, and the one behind the last."""
    inputs, plastic = config["input_size"], config.get("plastic", "all")
    K = inputs + config["hidden_size"] if config["recurrent"] else inputs
    return inputs if plastic == "hidden" else 0, inputs if plastic == "input" else K


def _stpn(config: Config, params: Mapping[str, Tensor], x_t: Tensor, state: Tensors, energy: bool) -> Stepped:
    """Section 1."""
    normalize, clamp = config["normalize"], config["clamp"]
    h, F, fb = state.get("h"), state["F"], state.get("fb")
    decay, rate = (_rate(config, params[name]) for name in ("weight_lambda", "weight_gamma"))
    first, last = _plastic_columns(config)

    def clip(value: Tensor) -> Tensor:
        return value if clamp is None else value.clamp(-clamp, clamp)

    v = x_t if h is None else torch.cat([x_t, h], 1)
    G = _effective(config, params, F)  # (1)
    inverse = None if normalize is None else _inverse_norm(config, params, G)  # (2)
    a = _read(G, v) if inverse is None else _read(G, v) * inverse.squeeze(2)  # (3)
    if "bias" in params:
        a = a + params["bias"]
    if fb is not None:
        a = a + fb
    h = _activate(config, params, a)  # (4)
    if config.get("squashed"):
        F = _ACTIVATIONS[config["activation"]](F)
    if inverse is not None and normalize == "pre":
        F = F * inverse  # (5)
    u = (torch.cat([x_t, h], 1) if config["presynaptic"] == "current" else v)[:, first:last]
    if config["rule"] == "oja":
        u = u - (h.unsqueeze(2) * F).sum(1)
    learned = rate * _outer(h, u)  # (6)
    F = clip(decay * (F + learned) if config["decay"] == "prompt" else decay * F + learned)  # (7)
    if normalize == "post":
        F = F * _inverse_norm(config, params, _effective(config, params, F))  # (8)

    after = {"F": F} if "h" not in state else {"h": h, "F": F}
    if fb is not None:
        after["fb"] = clip(params["bias_lambda"] * fb + params["bias_gamma"] * h)  # (9)
    used = _energy(G if inverse is None else G * inverse, v) if energy else None  # (10)
    return h, after, used


def _rate(config: Config, rate: Tensor) -> Tensor:
    """Λ or Γ, to be multiplied with (B,H,P)."""
    return rate.unsqueeze(1) if config["plasticity_shape"] == "neuron" else rate


def _effective(config: Config, params: Mapping[str, Tensor], F: Tensor) -> Tensor:
    """(1): G (B,H,K)."""
    weight = params["weight"]
    first, last = _plastic_columns(config)
    return weight + functional.pad(F, (first, weight.shape[-1] - last))


def _inverse_norm(config: Config, params: Mapping[str, Tensor], G: Tensor) -> Tensor:
    """(2): 1/n (B,H,1), or (B,1,1) for the whole layer without a gain. A norm of 0 counts as infinite."""
    squares = G.square().sum((1, 2) if config["norm_axis"] == "layer" else 2, keepdim=True)
    absent = squares == 0
    n = squares.masked_fill(absent, 1).sqrt()
    if config["norm_gain"]:
        n = n * params["norm_gain"].unsqueeze(1)
    return (1 / (n + 1e-16)).masked_fill(absent, 0)


_HEBBFF = {
    "normalize": None,
    "clamp": None,
    "decay": "stp",
    "rule": "hebb",
    "presynaptic": "previous",
    "plasticity_shape": "scalar",
    "activation": "sigmoid",
}


def _hebbff(
    config: Config, params: Mapping[str, Tensor], x_t: Tensor, state: Tensors, energy: bool
) -> Stepped:
    """Section 3."""
    decay, rate = params["raw_lambda"], params["raw_gamma"]
    if config["forced"]:
        decay, rate = torch.sigmoid(decay), -torch.exp(rate)
    rates = {"weight_lambda": decay, "weight_gamma": rate}
    return _stpn({**config, **_HEBBFF}, {**params, **rates}, x_t, state, energy)


def _fast_weights(
    config: Config, params: Mapping[str, Tensor], x_t: Tensor, state: Tensors, energy: bool
) -> Stepped:
    """Section 4."""
    h, A, weight = state["h"], state["F"], params["weight"]
    v = torch.cat([x_t, h], 1)
    A = params["weight_lambda"] * A + params["weight_gamma"] * _outer(h, h)  # (11)
    z = functional.linear(v, weight, params["bias"])  # (12)
    h = _activate(config, params, z)
    used = _energy(weight, v) if energy else None
    for _ in range(config["inner_steps"]):
        if used is not None:
            used = used + _energy(A, h)
        h = _activate(config, params, z + _read(A, h))
    return h, {"h": h, "F": A}, used


def _modulated(
    config: Config, params: Mapping[str, Tensor], x_t: Tensor, state: Tensors, energy: bool
) -> Stepped:
    """Section 5."""
    kind, addpw = config["kind"], config["addpw"]
    previous, F = state["h"], state["F"]
    G = params["w"] + params["alpha"] * F
    z = functional.linear(x_t, params["i2h.weight"], params["i2h.bias"])
    h = torch.tanh(z + _read(G, previous))  # (13)
    after = {"h": h}
    D = M = _outer(h, previous)
    if kind == "modul":
        M = state["E"]
        after["E"] = (1 - params["etaet"]) * M + params["etaet"] * D
    if kind == "plastic":
        m = params["eta"]
    else:
        modulate = _ACTIVATIONS[config["da"]]
        m = modulate(functional.linear(h, params["h2DA.weight"], params["h2DA.bias"])).unsqueeze(2)  # (B,1,1)
    added = m * M  # (14)
    if addpw == 0:  # (15)
        F = (1 - m) * F + added
    elif addpw == 2:
        F = F + added - added.abs() * F
    else:
        F = F + added
    if addpw in (2, 3):
        c = 0.99999 if kind == "modul" and addpw == 2 else 1
        F = F.clamp(-c, c)
    after["F"] = F
    used = _energy(params["i2h.weight"], x_t) + _energy(G, previous) if energy else None
    return h, after, used


_STEPS: dict[str, Step] = {
    "stpn": _stpn,
    "hebbff": _hebbff,
    "fast_weights": _fast_weights,
    "modulated": _modulated,
}
