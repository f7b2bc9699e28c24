"""What is measured: a row per line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Work = Literal["training step", "forward", "single step", "update"]
Dtype = Literal["float32", "float64"]
Size = tuple[int, int, int, int]  # B, I, H, T
Config = dict[str, Any]

FORWARD: Config = {"cell": "stpn", "recurrent": False}
SCALAR: Config = {"plasticity_shape": "scalar"}
CLIPPED: Config = {"normalize": None, "clamp": 1.0}

# Cells by options of docs/cells.md; what is not named has its default.
CELLS: dict[str, Config] = {
    "STPNR pre": {"cell": "stpn"},
    "STPNR pre, scalar": {"cell": "stpn", **SCALAR},
    "STPNR post": {"cell": "stpn", "normalize": "post", "clamp": 1.0},
    "STPNF output": {**FORWARD, "normalize": "output"},
    "STPNF pre": FORWARD,
    "STPNF none": {**FORWARD, **CLIPPED},
    "STPNF output, scalar": {**FORWARD, **SCALAR, "normalize": "output"},
    "STPNF pre, scalar": {**FORWARD, **SCALAR},
    "STPNF none, scalar": {**FORWARD, **SCALAR, **CLIPPED},
    "HebbFF": {"cell": "hebbff"},
    "FastWeights": {"cell": "fast_weights"},
    "Modulated": {"cell": "modulated"},
}


@dataclass(frozen=True)
class Row:
    """A piece of work of one of CELLS at one size: B batch, I input_size, H hidden_size, T time steps.

    A training step is the forward pass and the backward pass to all parameters; a forward pass alone keeps
    nothing for one. A single step goes on from the state that the one before it left, as in a rollout. An
    update is a training step of a whole network: the cell, a linear readout of its last activations for as
    many classes as inputs, cross-entropy, and Adam.
    """

    work: Work
    cell: str
    B: int
    I: int  # noqa: E741
    H: int
    T: int
    dtype: Dtype = "float32"

    @property
    def name(self) -> str:
        name = f"{self.work} {self.cell} B {self.B} I {self.I} H {self.H} T {self.T}"
        return name if self.dtype == "float32" else f"{name} {self.dtype}"

    @property
    def size(self) -> Size:
        return self.B, self.I, self.H, self.T

    @property
    def config(self) -> Config:
        return {**CELLS[self.cell], "input_size": self.I, "hidden_size": self.H}

    @property
    def trains(self) -> bool:
        return self.work in ("training step", "update")


# Associative retrieval as published, and larger work of the same kind.
RETRIEVAL: Size = (128, 37, 11, 9)
SIZES: tuple[Size, ...] = (RETRIEVAL, (128, 37, 100, 9), (512, 20, 55, 20), (64, 64, 64, 50))
LARGE: tuple[Size, ...] = ((32, 128, 256, 32), (8, 256, 1024, 8))
# Pong from its pixels: an agent and sixteen, a step and twenty.
PONG: tuple[Size, ...] = tuple((B, 2592, 64, T) for B in (1, 16) for T in (1, 20))
FEEDFORWARD = SIZES[2:]
IN_FLOAT64 = SIZES[1:3]
# So small that a call is all there is to measure.
CALL: Size = (1, 2, 3, 2)
# Of whole networks: associative retrieval, and the maze's recurrent cell on a quarter of an episode.
NETWORKS = (RETRIEVAL, (512, 17, 55, 50))
# The hidden sizes of the paper's maze, where I is 17.
MAZE = {
    "STPNR pre": 55,
    "STPNR pre, scalar": 55,
    "STPNR post": 55,
    "STPNF output": 76,
    "STPNF pre": 76,
    "STPNF none": 76,
    "STPNF output, scalar": 181,
    "STPNF pre, scalar": 181,
    "STPNF none, scalar": 181,
    "HebbFF": 181,
    "FastWeights": 55,
    "Modulated": 73,
}
BATCHES = (1, 16, 512)
# An agent in the maze.
ROLLOUT = Row("single step", "STPNR pre", 1, 17, 55, 1)


def sequences(cell: str, sizes: tuple[Size, ...], dtype: Dtype = "float32") -> tuple[Row, ...]:
    """A training step and a forward pass of each size."""
    works: tuple[Work, ...] = ("training step", "forward")
    return tuple(Row(work, cell, *size, dtype) for size in sizes for work in works)


ROWS = (
    *sequences("STPNR pre", SIZES + LARGE + PONG),
    *sequences("STPNF pre", FEEDFORWARD),
    *sequences("STPNR pre", IN_FLOAT64, "float64"),
    *(Row("single step", "STPNR pre", B, 17, 55, 1) for B in BATCHES),
    *(Row("single step", "STPNF pre", B, 17, 76, 1) for B in BATCHES),
    *(Row("single step", "STPNR pre", B, 2592, 64, 1) for B in (1, 16)),
    # The models of the maze on a quarter of an episode. PyTorch keeps every F for the backward pass: up to 7
    # GB in the float64 check.
    *(Row("training step", cell, 512, 17, H, 50) for cell, H in MAZE.items()),
    *sequences("STPNR pre", (CALL,)),
    *(Row("update", "STPNR pre", *size) for size in NETWORKS),
)
# Whose memory is measured beside that of the training steps above: the maze's whole episode.
EPISODE = Row("training step", "STPNR pre", 512, 17, 55, 200)
