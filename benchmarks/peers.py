"""Who is measured: the same network by each library, written as its users would write it well.

A peer is set up with a problem, in its precision, and then called many times: `forward` and `train` do one
piece of work each and return what there is to compare, as NumPy arrays or tensors. To add a peer, write its
class and its line in PEERS.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import stpn_swift
import stpn_swift.torch
import torch
from torch import Tensor, nn

from .problem import Arrays, Problem


class Peer(Protocol):
    def __init__(self, problem: Problem) -> None: ...

    def forward(self) -> dict[str, Any]:
        """y and the final state, nothing kept for a backward pass."""

    def train(self) -> dict[str, Any]:
        """y, the final state, and the gradients of all parameters."""


def as_arrays(results: dict[str, Any]) -> Arrays:
    return {
        key: value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)
        for key, value in results.items()
    }


class NumPyPeer:
    """stpn_swift through its NumPy API."""

    def __init__(self, problem: Problem) -> None:
        row = problem.row
        self.cell = stpn_swift.STPNR(row.I, row.H, dtype=str(problem.x.dtype))
        self.cell.params.update(problem.params)
        self.x, self.grad_y = problem.x, problem.grad_y

    def forward(self) -> dict[str, Any]:
        y, state = self.cell(self.x)
        return {"y": y, "h": state["h"], "F": state["F"]}

    def train(self) -> dict[str, Any]:
        y, state, tape = self.cell.forward(self.x)
        grads = self.cell.backward(tape, self.grad_y)
        return {"y": y, "h": state["h"], "F": state["F"], **grads.params}


class TorchPeer:
    """Any module called as y, (h, F) = module(x)."""

    def __init__(self, problem: Problem, module: nn.Module) -> None:
        self.module = module.to(torch.from_numpy(problem.x).dtype)
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(torch.from_numpy(problem.params[name]))
        self.x, self.grad_y = torch.from_numpy(problem.x), torch.from_numpy(problem.grad_y)

    def forward(self) -> dict[str, Any]:
        with torch.no_grad():
            y, state = self.module(self.x)
        return {"y": y, "h": state["h"], "F": state["F"]}

    def train(self) -> dict[str, Any]:
        self.module.zero_grad(set_to_none=True)
        y, state = self.module(self.x)
        y.backward(self.grad_y)
        gradients = {name: parameter.grad for name, parameter in self.module.named_parameters()}
        return {"y": y, "h": state["h"], "F": state["F"], **gradients}


class TorchModulePeer(TorchPeer):
    """stpn_swift through its PyTorch module."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, stpn_swift.torch.STPNR(problem.row.I, problem.row.H))


class EagerSTPNR(nn.Module):
    """docs/cells.md, section 1, in PyTorch operations over the whole batch.

    The forms that were fastest of those tried: the read as a product and a sum (bmm and einsum go through one
    small matrix after another), the outer product by broadcasting, one reciprocal of the norm for both uses.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        H, K = hidden_size, input_size + hidden_size
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(H, K))
        self.bias = nn.Parameter(torch.empty(H))
        self.weight_lambda = nn.Parameter(torch.empty(H, K))
        self.weight_gamma = nn.Parameter(torch.empty(H, K))

    def read(self, G: Tensor, v: Tensor) -> Tensor:
        """(B,H,K) and (B,K) to (B,H)."""
        return (G * v.unsqueeze(1)).sum(2)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        h = x.new_zeros(x.shape[0], self.hidden_size)
        F = x.new_zeros(x.shape[0], *self.weight.shape)
        y = []
        for x_t in x.unbind(1):
            v = torch.cat([x_t, h], 1)
            G = self.weight + F
            r = 1 / (torch.linalg.vector_norm(G, dim=2) + 1e-16)
            h = torch.tanh(self.read(G, v) * r + self.bias)
            F = torch.addcmul(
                self.weight_lambda * (F * r.unsqueeze(2)), self.weight_gamma, h.unsqueeze(2) * v.unsqueeze(1)
            )
            y.append(h)
        return torch.stack(y, 1), {"h": h, "F": F}


class EagerBmmSTPNR(EagerSTPNR):
    """The read as a batched matrix product, the form found most often."""

    def read(self, G: Tensor, v: Tensor) -> Tensor:
        return torch.bmm(G, v.unsqueeze(2)).squeeze(2)


class EagerPeer(TorchPeer):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, EagerSTPNR(problem.row.I, problem.row.H))


class EagerBmmPeer(TorchPeer):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, EagerBmmSTPNR(problem.row.I, problem.row.H))


# The first is the one that the others are compared with.
PEERS: dict[str, Callable[[Problem], Peer]] = {
    "stpn_swift, NumPy": NumPyPeer,
    "stpn_swift, PyTorch": TorchModulePeer,
    "eager PyTorch": EagerPeer,
    "eager PyTorch, bmm": EagerBmmPeer,
}
# Whose float64 results all others have to give: not our own.
REFERENCE = "eager PyTorch"
