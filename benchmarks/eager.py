"""The cells of docs/cells.md in PyTorch operations over the whole batch, as a user who knows PyTorch would
write them, with the options that the benchmarks need and no others.

The forms that were fastest of those tried: the read as a product and a sum, the outer product by
broadcasting, one reciprocal of the norm for both of its uses, and scalars multiplied into vectors rather than
into matrices.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Read = Callable[[Tensor, Tensor], Tensor]  # (B,H,K) and (B,K) to (B,H)


def read_by_sum(G: Tensor, v: Tensor) -> Tensor:
    return (G * v.unsqueeze(1)).sum(2)


def read_by_bmm(G: Tensor, v: Tensor) -> Tensor:
    """The form found most often; it goes through one small matrix after another."""
    return torch.bmm(G, v.unsqueeze(2)).squeeze(2)


def inverse_norm(G: Tensor) -> Tensor:
    """(B,H,K) to (B,H,1)."""
    norm: Tensor = torch.linalg.vector_norm(G, dim=2, keepdim=True)
    return 1 / (norm + 1e-16)


def update(F: Tensor, decay: Tensor, rate: Tensor, h: Tensor, v: Tensor) -> Tensor:
    """decay ∘ F + rate ∘ h vᵀ (B,H,K), both (H,K) or ()."""
    if rate.ndim == 0:
        return torch.addcmul(decay * F, (rate * h).unsqueeze(2), v.unsqueeze(1))
    return torch.addcmul(decay * F, rate, h.unsqueeze(2) * v.unsqueeze(1))


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


class Cell(nn.Module, ABC):
    """What the cells have in common: activations h (B,H), a plastic part F (B,H,P), and a loop over time."""

    def __init__(self, hidden_size: int, plastic_size: int, read: Read, *, recurrent: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.plastic_size = plastic_size
        self.read = read
        self.recurrent = recurrent

    @abstractmethod
    def step(self, x_t: Tensor, h: Tensor, F: Tensor) -> tuple[Tensor, Tensor]:
        """h and F after a step with the inputs x_t (B,I)."""

    def initial_state(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """h and F for the batch of x."""
        h = x.new_zeros(x.shape[0], self.hidden_size)
        return h, x.new_zeros(x.shape[0], self.hidden_size, self.plastic_size)

    def named(self, h: Tensor, F: Tensor) -> dict[str, Tensor]:
        return {"h": h, "F": F} if self.recurrent else {"F": F}

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        h, F = self.initial_state(x)
        y = []
        for x_t in x.unbind(1):
            h, F = self.step(x_t, h, F)
            y.append(h)
        return torch.stack(y, 1), self.named(h, F)


class STPN(Cell):
    """Section 1."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        read: Read,
        *,
        recurrent: bool = True,
        plasticity_shape: str = "synapse",
        normalize: str | None = "pre",
        clamp: float | None = None,
    ) -> None:
        H, K = hidden_size, input_size + hidden_size if recurrent else input_size
        super().__init__(H, K, read, recurrent=recurrent)
        shape = {"synapse": (H, K), "scalar": ()}[plasticity_shape]
        self.normalize, self.clamp = normalize, clamp
        self.weight, self.bias = parameter(H, K), parameter(H)
        self.weight_lambda, self.weight_gamma = parameter(*shape), parameter(*shape)

    def step(self, x_t: Tensor, h: Tensor, F: Tensor) -> tuple[Tensor, Tensor]:
        v = torch.cat([x_t, h], 1) if self.recurrent else x_t
        G = self.weight + F
        a = self.read(G, v)
        if self.normalize is not None:
            r = inverse_norm(G)
            a = a * r.squeeze(2)
            if self.normalize == "pre":
                F = F * r
        h = torch.tanh(a + self.bias)
        F = update(F, self.weight_lambda, self.weight_gamma, h, v)
        if self.clamp is not None:
            F = F.clamp(-self.clamp, self.clamp)
        if self.normalize == "post":
            F = F * inverse_norm(self.weight + F)
        return h, F


class HebbFF(Cell):
    """Section 3."""

    def __init__(self, input_size: int, hidden_size: int, read: Read) -> None:
        super().__init__(hidden_size, input_size, read, recurrent=False)
        self.weight, self.bias = parameter(hidden_size, input_size), parameter(hidden_size)
        self.raw_lambda, self.raw_gamma = parameter(), parameter()

    def step(self, x_t: Tensor, h: Tensor, F: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.sigmoid(self.read(self.weight + F, x_t) + self.bias)
        return h, update(F, torch.sigmoid(self.raw_lambda), -torch.exp(self.raw_gamma), h, x_t)


class FastWeights(Cell):
    """Section 4, one inner step with layer norm and tanh."""

    def __init__(self, input_size: int, hidden_size: int, read: Read) -> None:
        super().__init__(hidden_size, hidden_size, read)
        self.weight, self.bias = parameter(hidden_size, input_size + hidden_size), parameter(hidden_size)
        self.weight_lambda, self.weight_gamma = parameter(), parameter()
        self.layer_norm = nn.LayerNorm(hidden_size)

    def step(self, x_t: Tensor, h: Tensor, F: Tensor) -> tuple[Tensor, Tensor]:
        z = nn.functional.linear(torch.cat([x_t, h], 1), self.weight, self.bias)
        F = update(F, self.weight_lambda, self.weight_gamma, h, h)
        h = torch.tanh(self.layer_norm(z))
        return torch.tanh(self.layer_norm(z + self.read(F, h))), F


class Modulated(Cell):
    """Section 5, "modplast" with addpw 3 and tanh."""

    def __init__(self, input_size: int, hidden_size: int, read: Read) -> None:
        super().__init__(hidden_size, hidden_size, read)
        self.i2h = nn.Linear(input_size, hidden_size)
        self.w, self.alpha = parameter(hidden_size, hidden_size), parameter(hidden_size, hidden_size)
        self.h2DA = nn.Linear(hidden_size, 1)

    def step(self, x_t: Tensor, h: Tensor, F: Tensor) -> tuple[Tensor, Tensor]:
        previous = h
        h = torch.tanh(self.i2h(x_t) + self.read(torch.addcmul(self.w, self.alpha, F), previous))
        # Not self.h2DA(h): compiled, a linear map to one value computes the read anew for each of its terms.
        m = torch.tanh((h * self.h2DA.weight).sum(1, keepdim=True) + self.h2DA.bias)
        F = torch.addcmul(F, (m * h).unsqueeze(2), previous.unsqueeze(1))
        return h, F.clamp(-1, 1)


CELLS: dict[str, Callable[..., Cell]] = {
    "stpn": STPN,
    "hebbff": HebbFF,
    "fast_weights": FastWeights,
    "modulated": Modulated,
}


def cell_from_config(config: dict[str, Any], read: Read = read_by_sum) -> Cell:
    options = {name: value for name, value in config.items() if name != "cell"}
    return CELLS[config["cell"]](**options, read=read)
