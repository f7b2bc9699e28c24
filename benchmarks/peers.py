"""Who is measured: the same network by each library, written as its users would write it well.

A peer is set up with a problem, in its precision, and then called many times: `forward`, `train` and `step`
do one piece of work each and return what there is to compare, as arrays of its library. The caller has
gradients enabled in PyTorch for `train` alone. To add a peer, write its class and its line in PEERS, and in
NETWORKS of networks.py. Peers of one family have the same name up to a comma.
"""

from __future__ import annotations

import importlib.util
from typing import Any, Protocol

import numpy as np
import stpn_swift
import stpn_swift.torch
import torch
from torch import Tensor, nn

from . import eager
from .problem import Array, Problem

# Of torch.compile.
BACKEND = "inductor"


class Peer(Protocol):
    def __init__(self, problem: Problem) -> None: ...

    def forward(self) -> dict[str, Any]:
        """y and the final state, nothing kept for a backward pass."""

    def train(self) -> dict[str, Any]:
        """y, the final state, and the gradients of all parameters."""

    def step(self) -> tuple[Any, dict[str, Any]]:
        """y and the state after one more step, each with the inputs of the problem's first."""


def as_array(value: Any) -> Array:
    return value.detach().numpy() if isinstance(value, Tensor) else np.asarray(value)


class NumPyPeer:
    """stpn_swift through its NumPy API, by the fastest or a named implementation."""

    def __init__(self, problem: Problem, implementation: str | None = None) -> None:
        self.cell = stpn_swift.cell_from_config(problem.row.config, dtype=str(problem.x.dtype))
        self.cell.params.update(problem.params)
        self.cell.implementation = implementation
        self.x, self.grad_y = problem.x, problem.grad_y
        self.x_t, self.state = problem.x[:, 0].copy(), self.cell.initial_state(problem.row.B)

    def forward(self) -> dict[str, Any]:
        y, state = self.cell(self.x)
        return {"y": y, **state}

    def train(self) -> dict[str, Any]:
        y, state, tape = self.cell.forward(self.x)
        return {"y": y, **state, **self.cell.backward_params(tape, self.grad_y)}

    def step(self) -> tuple[Any, dict[str, Any]]:
        return self.cell.step(self.x_t, self.state), self.state


class TorchPeer:
    """Any module called as y, state = module(x)."""

    def __init__(self, problem: Problem, module: nn.Module) -> None:
        self.module = module.to(torch.from_numpy(problem.x).dtype)
        with torch.no_grad():
            for name, parameter in self.module.named_parameters():
                parameter.copy_(torch.from_numpy(problem.params[name]))
        self.x, self.grad_y = torch.from_numpy(problem.x), torch.from_numpy(problem.grad_y)
        self.x_t = self.x[:, 0].contiguous()

    def forward(self) -> dict[str, Any]:
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
        self.cell = stpn_swift.torch.cell_from_config(problem.row.config)
        super().__init__(problem, self.cell)
        zeros = self.cell.initial_state(problem.row.B)
        self.state = {name: tensor.to(self.x.dtype) for name, tensor in zeros.items()}

    def step(self) -> tuple[Any, dict[str, Any]]:
        return self.cell.step(self.x_t, self.state), self.state


class CompiledModulePeer(TorchModulePeer):
    """The module within a function by torch.compile, which sees it as one operator."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.cell.compile(backend=BACKEND, fullgraph=True, dynamic=False)


class EagerPeer(TorchPeer):
    def __init__(self, problem: Problem, read: eager.Read = eager.read_by_sum) -> None:
        self.cell = eager.cell_from_config(problem.row.config, read)
        super().__init__(problem, self.cell)
        self.h, self.F = self.cell.initial_state(self.x_t)

    def step(self) -> tuple[Any, dict[str, Any]]:
        self.h, self.F = self.cell.step(self.x_t, self.h, self.F)
        return self.h, self.cell.named(self.h, self.F)


class EagerBmmPeer(EagerPeer):
    """Every read as a batched matrix product."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, eager.read_by_bmm)


class CompiledStepPeer(EagerPeer):
    """A step by torch.compile, in a Python loop over time."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        compiled = torch.compile(self.cell.step, backend=BACKEND, fullgraph=True, dynamic=False)
        self.cell.step = compiled  # type: ignore[method-assign]


class CompiledSequencePeer(EagerPeer):
    """The loop over time unrolled and compiled as a whole: best for a few steps. 50 took minutes to compile,
    and trained slower than compiled steps with every cell."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.cell.compile(backend=BACKEND, fullgraph=True, dynamic=False)


UNROLLED = "compiled PyTorch, sequence"
OURS_COMPILED = "stpn_swift, compiled PyTorch"
OURS_CALLED_BACK = "stpn_swift, JAX, callback"
CHECKPOINTED = "JAX, checkpoint"
# The first is the one that the others are compared with.
PEERS: dict[str, type[Peer]] = {
    "stpn_swift, NumPy": NumPyPeer,
    "stpn_swift, PyTorch": TorchModulePeer,
    OURS_COMPILED: CompiledModulePeer,
    "eager PyTorch": EagerPeer,
    "eager PyTorch, bmm": EagerBmmPeer,
    "compiled PyTorch, step": CompiledStepPeer,
    UNROLLED: CompiledSequencePeer,
}

JAX = importlib.util.find_spec("jax") is not None
# Whether the custom calls are compiled, by which it reaches our kernel.
KERNEL_IN_JAX = False
if JAX:
    from . import jax_peer

    KERNEL_IN_JAX = jax_peer.kernel_is_there()
    if KERNEL_IN_JAX:
        PEERS["stpn_swift, JAX"] = jax_peer.KernelPeer
    PEERS |= {
        OURS_CALLED_BACK: jax_peer.CallbackPeer,
        "JAX": jax_peer.JaxPeer,
        CHECKPOINTED: jax_peer.CheckpointedJaxPeer,
    }


def renew_threads() -> None:
    """Of JAX, which else keeps as many as it had at first; its arrays are lost."""
    if JAX:
        jax_peer.renew_threads()
