"""The associative retrieval task (Ba et al. 2016, "Using Fast Weights to Attend to the Recent Past").

Three pairs of a letter and a digit, two question marks, one of the letters; the answer is its digit.
`c9k8j3??k` asks for 8. The letters of a sequence differ, its digits need not. By chance one is right in 10 %
of the cases, and in 43 % when one knows the three digits but not which belongs to the letter. More pairs,
other alphabets and a longer wait make it harder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
DIGITS = "0123456789"


@dataclass(frozen=True)
class RetrievalTask:
    """A task of this kind; the defaults are the paper's."""

    pairs: int = 3
    """of a letter and a digit in a sequence"""
    letters: int = 26
    """size of the alphabet of letters, no less than the pairs and at most 52 (a to Z)"""
    digits: int = 10
    """size of the alphabet of digits, at most 10"""
    question_marks: int = 2
    """between the pairs and the letter that is asked for"""

    @property
    def symbols(self) -> str:
        """All, in the order of their indices."""
        return LETTERS[: self.letters] + DIGITS[: self.digits] + "?"

    @property
    def length(self) -> int:
        """Of a sequence, T."""
        return 2 * self.pairs + self.question_marks + 1

    @property
    def chance(self) -> float:
        """The fraction that one answers right who guesses."""
        return 1 / self.digits

    @property
    def digits_known(self) -> float:
        """That of one who knows the digits of the sequence, but not which belongs to which letter: who says
        the most frequent one is right in m of P cases, where m is how often it is there."""
        most = [self._digits_at_most(m) for m in range(self.pairs + 1)]
        of_most = sum(m * (most[m] - most[m - 1]) for m in range(1, self.pairs + 1))
        return of_most / (self.pairs * self.draws)

    @property
    def draws(self) -> int:
        """In how many ways the digits of a sequence can be drawn."""
        return math.prod([self.digits] * self.pairs)

    def _digits_at_most(self, most: int) -> int:
        """In how many ways digits can be drawn for the pairs so that none is there more often: those of one
        digit fewer, for each number of places that the last digit takes."""
        ways = [1] + [0] * self.pairs
        for _ in range(self.digits):
            ways = [
                sum(math.comb(places, taken) * ways[places - taken] for taken in range(min(most, places) + 1))
                for places in range(self.pairs + 1)
            ]
        return ways[self.pairs]


PAPER = RetrievalTask()
SYMBOLS = PAPER.symbols


@cache
def _one_hot(symbols: int, dtype: str) -> NDArray[Any]:
    return np.eye(symbols, dtype=dtype)


@dataclass(frozen=True)
class Sequences:
    """N sequences and their answers, as indices into the symbols of the task."""

    symbols: NDArray[np.uint8]  # (N,T)
    answers: NDArray[np.uint8]  # (N)
    task: RetrievalTask = PAPER

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> Sequences:
        return Sequences(self.symbols[rows], self.answers[rows], self.task)

    def one_hot(self, dtype: str = "float32") -> NDArray[Any]:
        """The sequences as a network reads them, (N,T,I), where I is the number of symbols."""
        return np.take(_one_hot(len(self.task.symbols), dtype), self.symbols, axis=0)

    def text(self, index: int) -> str:
        """One sequence as it is written, `c9k8j3??k`."""
        return "".join(self.task.symbols[symbol] for symbol in self.symbols[index])


def generate(count: int, random: np.random.Generator, task: RetrievalTask = PAPER) -> Sequences:
    """Draws sequences: letters without replacement, digits with, and one of the letters to ask for."""
    P = task.pairs
    alphabet = np.broadcast_to(np.arange(task.letters, dtype=np.uint8), (count, task.letters))
    letters = random.permuted(alphabet, axis=1)[:, :P]
    digits = task.letters + random.integers(task.digits, size=(count, P), dtype=np.uint8)
    asked = random.integers(P, size=count)
    every = np.arange(count)

    symbols = np.full((count, task.length), task.symbols.index("?"), dtype=np.uint8)
    symbols[:, 0 : 2 * P : 2] = letters
    symbols[:, 1 : 2 * P : 2] = digits
    symbols[:, -1] = letters[every, asked]
    return Sequences(symbols, digits[every, asked], task)


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
