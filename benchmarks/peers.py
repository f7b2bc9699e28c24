"""Who is measured: the same network by each library, written as its users would write it well.

A peer is set up with a problem, in its precision, and then called many times: `forward` and `train` do one
piece of work each and return what there is to compare, as NumPy arrays or tensors. To add a peer, write its
class and its line in PEERS. Peers of one family have the same name up to a comma.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import stpn_swift
import stpn_swift.torch
import torch
from torch import Tensor, nn

from . import eager
from .problem import Arrays, Problem
from .rows import Row

# Of torch.compile.
BACKEND = "inductor"


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
        self.cell = stpn_swift.cell_from_config(problem.row.config, dtype=str(problem.x.dtype))
        self.cell.params.update(problem.params)
        self.x, self.grad_y = problem.x, problem.grad_y

    def forward(self) -> dict[str, Any]:
        y, state = self.cell(self.x)
        return {"y": y, **state}

    def train(self) -> dict[str, Any]:
        y, state, tape = self.cell.forward(self.x)
        grads = self.cell.backward(tape, self.grad_y)
        return {"y": y, **state, **grads.params}


class TorchPeer:
    """Any module called as y, state = module(x)."""

    def __init__(self, problem: Problem, module: nn.Module) -> None:
        self.module = module.to(torch.from_numpy(problem.x).dtype)
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(torch.from_numpy(problem.params[name]))
        self.x, self.grad_y = torch.from_numpy(problem.x), torch.from_numpy(problem.grad_y)

    def forward(self) -> dict[str, Any]:
        with torch.no_grad():
            y, state = self.module(self.x)
        return {"y": y, **state}

    def train(self) -> dict[str, Any]:
        self.module.zero_grad(set_to_none=True)
        y, state = self.module(self.x)
        y.backward(self.grad_y)
        gradients = {name: parameter.grad for name, parameter in self.module.named_parameters()}
        return {"y": y, **state, **gradients}


class TorchModulePeer(TorchPeer):
    """stpn_swift through its PyTorch module."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, stpn_swift.torch.cell_from_config(problem.row.config))


class EagerPeer(TorchPeer):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, eager.cell_from_config(problem.row.config))


class EagerBmmPeer(TorchPeer):
    """Every read as a batched matrix product."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, eager.cell_from_config(problem.row.config, eager.read_by_bmm))


class CompiledStepPeer(TorchPeer):
    """A step by torch.compile, in a Python loop over time."""

    def __init__(self, problem: Problem) -> None:
        cell = eager.cell_from_config(problem.row.config)
        compiled = torch.compile(cell.step, backend=BACKEND, fullgraph=True, dynamic=False)
        cell.step = compiled  # type: ignore[method-assign]
        super().__init__(problem, cell)


class CompiledSequencePeer(TorchPeer):
    """The loop over time unrolled and compiled as a whole: best for a few steps. 50 took minutes to compile,
    and trained slower than compiled steps with every cell."""

    def __init__(self, problem: Problem) -> None:
        cell = eager.cell_from_config(problem.row.config)
        cell.compile(backend=BACKEND, fullgraph=True, dynamic=False)
        super().__init__(problem, cell)


UNROLLED = "compiled PyTorch, sequence"
# The first is the one that the others are compared with.
PEERS: dict[str, type[Peer]] = {
    "stpn_swift, NumPy": NumPyPeer,
    "stpn_swift, PyTorch": TorchModulePeer,
    "eager PyTorch": EagerPeer,
    "eager PyTorch, bmm": EagerBmmPeer,
    "compiled PyTorch, step": CompiledStepPeer,
    UNROLLED: CompiledSequencePeer,
}
# Whose float64 results all others have to give: not our own.
REFERENCE = "eager PyTorch"


def peers_of(row: Row, without: list[str], unroll: int) -> list[str]:
    """The names of those for a row: that hold none of the texts; UNROLLED for so many steps at most."""
    names = [name for name in PEERS if not any(text in name for text in without)]
    return names if unroll >= row.T else [name for name in names if name != UNROLLED]
