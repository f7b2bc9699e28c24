"""What is measured: a row per line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Work = Literal["training step", "forward"]


@dataclass(frozen=True)
class Row:
    """A piece of work at one size: B batch, I input_size, H hidden_size, T time steps.

    A training step is the forward pass and the backward pass to all parameters; a forward pass alone keeps
    nothing for one.
    """

    work: Work
    B: int
    I: int  # noqa: E741
    H: int
    T: int

    @property
    def name(self) -> str:
        return f"{self.work} B {self.B} I {self.I} H {self.H} T {self.T}"


ROWS = (
    Row("training step", 128, 37, 11, 9),
    Row("forward", 128, 37, 11, 9),
    Row("training step", 128, 37, 100, 9),
    Row("forward", 128, 37, 100, 9),
)
