"""The peers' cells within networks, trained as the users of their libraries would do it: a linear readout of
the last activations, cross-entropy, and Adam."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from stpn_swift.experiments.adam import Adam
from stpn_swift.experiments.network import KernelClassifier
from torch import Tensor, nn

from . import peers
from .peers import CHECKPOINTED, JAX, KERNEL_IN_JAX, OURS_COMPILED, UNROLLED
from .problem import EPSILON, RATE, Problem


class Network(Protocol):
    def update(self) -> dict[str, Any]:
        """The loss, and all parameters after one more update."""


class NumPyNetwork:
    """The network and the Adam of `stpn_swift.experiments`."""

    def __init__(self, problem: Problem) -> None:
        cell = peers.NumPyPeer(problem).cell
        self.network = KernelClassifier(cell, problem.readout)
        self.optimizer = Adam(self.network.vector, RATE, eps=EPSILON)
        self.x, self.targets = problem.x, problem.targets

    def update(self) -> dict[str, Any]:
        loss, _ = self.network.loss(self.x, self.targets)
        self.optimizer.step(self.network.gradient)
        return {"loss": loss, **self.network.parameters}


class TorchNetwork(nn.Module):
    """Around the module of a peer; with the Adam that is fastest for few parameters."""

    def __init__(
        self, peer: Callable[[Problem], peers.TorchPeer], problem: Problem, *, compiled: bool = False
    ) -> None:
        super().__init__()
        self.cell = peer(problem).module
        self.x, self.targets = torch.from_numpy(problem.x), torch.from_numpy(problem.targets)
        self.readout = nn.Linear(problem.row.H, problem.row.I, dtype=self.x.dtype)
        self.readout.load_state_dict({name: torch.from_numpy(a) for name, a in problem.readout.items()})
        self.optimizer = torch.optim.Adam(self.parameters(), RATE, eps=EPSILON, fused=True)
        if compiled:
            self.compile(backend=peers.BACKEND, fullgraph=True, dynamic=False)

    def forward(self, x: Tensor, targets: Tensor) -> Tensor:
        """The loss."""
        y, _ = self.cell(x)
        return nn.functional.cross_entropy(self.readout(y[:, -1]), targets)

    def update(self) -> dict[str, Any]:
        self.optimizer.zero_grad()
        loss = self(self.x, self.targets)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss, **dict(self.named_parameters())}


# By the names of PEERS.
NETWORKS: dict[str, Callable[[Problem], Network]] = {
    "stpn_swift, NumPy": NumPyNetwork,
    "stpn_swift, PyTorch": partial(TorchNetwork, peers.TorchModulePeer),
    OURS_COMPILED: partial(TorchNetwork, peers.TorchModulePeer, compiled=True),
    "eager PyTorch": partial(TorchNetwork, peers.EagerPeer),
    "eager PyTorch, bmm": partial(TorchNetwork, peers.EagerBmmPeer),
    "compiled PyTorch, step": partial(TorchNetwork, peers.CompiledStepPeer),
    UNROLLED: partial(TorchNetwork, peers.EagerPeer, compiled=True),
}

if JAX:
    from . import jax_network, jax_peer

    if KERNEL_IN_JAX:
        NETWORKS["stpn_swift, JAX"] = partial(jax_network.JaxNetwork, jax_peer.by_kernel)
    NETWORKS |= {
        "JAX": partial(jax_network.JaxNetwork, jax_peer.scanned),
        CHECKPOINTED: partial(jax_network.JaxNetwork, partial(jax_peer.scanned, checkpoint=True)),
    }
