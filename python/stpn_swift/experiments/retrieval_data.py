"""The associative retrieval task (Ba et al. 2016, "Using Fast Weights to Attend to the Recent Past").

Three pairs of a letter and a digit, two question marks, one of the letters; the answer is its digit.
`c9k8j3??k` asks for 8. The letters of a sequence differ, its digits need not. By chance one is right in 10 %
of the cases, and in 43 % when one knows the three digits but not which belongs to the letter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LETTERS = "abcdefghijklmnopqrstuvwxyz"
DIGITS = "0123456789"
SYMBOLS = LETTERS + DIGITS + "?"
PAIRS = 3
LENGTH = 2 * PAIRS + 3

CHANCE = 0.10
DIGITS_KNOWN = 0.43

_ONE_HOT = {dtype: np.eye(len(SYMBOLS), dtype=dtype) for dtype in ("float32", "float64")}


@dataclass(frozen=True)
class Sequences:
    """N sequences and their answers, as indices into `SYMBOLS`."""

    symbols: NDArray[np.uint8]  # (N, LENGTH)
    answers: NDArray[np.uint8]  # (N)

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Sequences:
        return Sequences(self.symbols[rows], self.answers[rows])

    def one_hot(self, dtype: str = "float32") -> NDArray[Any]:
        """The sequences as a network reads them, (N, LENGTH, len(SYMBOLS))."""
        return np.take(_ONE_HOT[dtype], self.symbols, axis=0)

    def text(self, index: int) -> str:
        """One sequence as it is written, `c9k8j3??k`."""
        return "".join(SYMBOLS[symbol] for symbol in self.symbols[index])


def generate(count: int, random: np.random.Generator) -> Sequences:
    """Draws sequences: letters without replacement, digits with, and one of the letters to ask for."""
    alphabet = np.broadcast_to(np.arange(len(LETTERS), dtype=np.uint8), (count, len(LETTERS)))
    letters = random.permuted(alphabet, axis=1)[:, :PAIRS]
    digits = len(LETTERS) + random.integers(len(DIGITS), size=(count, PAIRS), dtype=np.uint8)
    asked = random.integers(PAIRS, size=count)
    every = np.arange(count)

    symbols = np.full((count, LENGTH), SYMBOLS.index("?"), dtype=np.uint8)
    symbols[:, 0 : 2 * PAIRS : 2] = letters
    symbols[:, 1 : 2 * PAIRS : 2] = digits
    symbols[:, -1] = letters[every, asked]
    return Sequences(symbols, digits[every, asked])


class Seeds(NamedTuple):
    """The independent sources of randomness of a run."""

    train: np.random.Generator
    validation: np.random.Generator
    test: np.random.Generator
    parameters: np.random.Generator
    order: np.random.Generator

    @classmethod
    def from_seed(cls, seed: int) -> Seeds:
        """The generators of a run: `SeedSequence(seed).spawn(5)`, in the order of the fields.

        So every seed has its own data and initial parameters, and the size of one set changes no other.
        """
        return cls(*(np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(5)))
