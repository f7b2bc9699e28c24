"""Who is measured on which row, and by which of its calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .networks import NETWORKS, Network
from .peers import CHECKPOINTED, OURS_CALLED_BACK, OURS_COMPILED, PEERS, UNROLLED, NumPyPeer, Peer
from .problem import Problem
from .rows import CALL, Row

Peers = dict[str, Callable[[Problem], Peer | Network]]

# Whose float64 results all others have to give: not our own.
REFERENCE = "eager PyTorch"


def work_of(peer: Peer | Network, row: Row) -> Callable[[], Any]:
    """The call that does the row's work."""
    names = {"training step": "train", "forward": "forward", "single step": "step", "update": "update"}
    work: Callable[[], Any] = getattr(peer, names[row.work])
    return work


def all_of(row: Row) -> Peers:
    return {**NETWORKS} if row.work == "update" else {**PEERS}


def by_implementation(name: str) -> Callable[[Problem], Peer]:
    return lambda problem: NumPyPeer(problem, name)


def peers_of(row: Row, without: list[str], unroll: int, implementations: list[str]) -> Peers:
    """Those for a row that hold none of the texts, UNROLLED for so many steps at most; and, as families of
    their own, our cells by each of the implementations."""
    unfit = set()
    if unroll < row.T or row.work == "single step":
        unfit.add(UNROLLED)
    if row.work == "single step":
        unfit.add(OURS_COMPILED)
    if not row.trains:
        unfit.add(CHECKPOINTED)
    if row.size != CALL:
        unfit.add(OURS_CALLED_BACK)
    fit = {name: peer for name, peer in all_of(row).items() if name not in unfit}
    if row.work != "update":
        fit |= {f"stpn_swift on {name}": by_implementation(name) for name in implementations}
    return {name: peer for name, peer in fit.items() if not any(text in name for text in without)}
