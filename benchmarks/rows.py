"""What is measured: a row per line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Work = Literal["training step", "forward"]
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
    nothing for one.
    """

    work: Work
    cell: str
    B: int
    I: int  # noqa: E741
    H: int
    T: int

    @property
    def name(self) -> str:
        return f"{self.work} {self.cell} B {self.B} I {self.I} H {self.H} T {self.T}"

    @property
    def config(self) -> Config:
        return {**CELLS[self.cell], "input_size": self.I, "hidden_size": self.H}


ROWS = (
    # Associative retrieval as published, and with a larger network.
    Row("training step", "STPNR pre", 128, 37, 11, 9),
    Row("forward", "STPNR pre", 128, 37, 11, 9),
    Row("training step", "STPNR pre", 128, 37, 100, 9),
    Row("forward", "STPNR pre", 128, 37, 100, 9),
    # The models of the paper's maze and their sizes there, on a quarter of an episode. PyTorch keeps every F
    # for the backward pass: up to 7 GB in the float64 check.
    Row("training step", "STPNR pre", 512, 17, 55, 50),
    Row("training step", "STPNR pre, scalar", 512, 17, 55, 50),
    Row("training step", "STPNR post", 512, 17, 55, 50),
    Row("training step", "STPNF output", 512, 17, 76, 50),
    Row("training step", "STPNF pre", 512, 17, 76, 50),
    Row("training step", "STPNF none", 512, 17, 76, 50),
    Row("training step", "STPNF output, scalar", 512, 17, 181, 50),
    Row("training step", "STPNF pre, scalar", 512, 17, 181, 50),
    Row("training step", "STPNF none, scalar", 512, 17, 181, 50),
    Row("training step", "HebbFF", 512, 17, 181, 50),
    Row("training step", "FastWeights", 512, 17, 55, 50),
    Row("training step", "Modulated", 512, 17, 73, 50),
)
