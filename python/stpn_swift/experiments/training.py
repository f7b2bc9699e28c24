"""Training by epochs that can stop after any batch and go on from there to the same bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .adam import Adam
from .dale import Signs, restore_signs
from .errors import ExperimentError
from .network import SequenceClassifier, count_correct
from .retrieval_data import Sequences

# Larger ones are slower: BLAS wakes threads for the readout that wait longer than they work.
EVALUATION_BATCH = 500


@dataclass(frozen=True)
class EpochMetrics:
    """One row of metrics.csv. Accuracies are fractions, in training of each batch before its update; energies
    are those of all neurons together in each step of a sequence, means over the validation sequences."""

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    energy_by_step: tuple[float, ...]
    seconds: float

    @property
    def energy(self) -> float:
        """Of a sequence."""
        return math.fsum(self.energy_by_step)

    def as_row(self) -> dict[str, float]:
        """By the columns of metrics.csv."""
        steps = {f"energy_{step}": energy for step, energy in enumerate(self.energy_by_step, 1)}
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "train_accuracy": self.train_accuracy,
            "validation_accuracy": self.validation_accuracy,
            "energy": self.energy,
            **steps,
            "seconds": self.seconds,
        }


@dataclass
class Progress:
    """How far a training is: all of its state that is not in arrays."""

    random: dict[str, Any]
    """The state of the generator of orders at the beginning of the epoch under way."""
    epoch: int = 0
    """Epochs done."""
    batch: int = 0
    """Batches done in the epoch under way."""
    loss_sum: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    """Of the epoch under way."""
    history: list[EpochMetrics] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, record: dict[str, Any]) -> Progress:
        rows = [{**row, "energy_by_step": tuple(row["energy_by_step"])} for row in record["history"]]
        return cls(**{**record, "history": [EpochMetrics(**row) for row in rows]})


class Trainer:
    """Trains a network on batches of the data; an incomplete last batch is left out.

    Parameters
    ----------
    network, optimizer
        The optimiser is that of the network's vector.
    train, validation
        The sequences.
    batch
        The sequences in an update.
    order
        Draws an order of the training sequences for each epoch; None: always that of the data.
    signs
        Those of the cell's `weight`, restored after each update; None: it has any.
    """

    def __init__(
        self,
        network: SequenceClassifier,
        optimizer: Adam,
        train: Sequences,
        validation: Sequences,
        batch: int,
        order: np.random.Generator | None = None,
        signs: Signs | None = None,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.train = train
        self.validation = validation
        self.batch = batch
        self.batches = len(train) // batch
        self._order = order
        self._signs = signs
        self.progress = Progress(self._random_state())

    def epoch(self, stop: Callable[[], bool], on_batch: Callable[[], object]) -> bool:
        """Goes on to the end of the epoch, or to the end of the batch in which `stop` begins to answer True.

        Returns
        -------
        bool
            Whether the epoch was finished.

        Raises
        ------
        ExperimentError
            The loss, a parameter or the energy is not finite: the training has diverged.
        """
        progress = self.progress
        started = time.perf_counter() - progress.seconds
        train = self._ordered()
        while progress.batch < self.batches:
            self._update(train)
            on_batch()
            if stop() and progress.batch < self.batches:
                progress.seconds = time.perf_counter() - started
                return False

        epoch = f"epoch {progress.epoch + 1}"
        check_finite(progress.loss_sum / self.batches, f"the loss of {epoch}")
        check_finite(float(np.abs(self.network.vector).max()), f"the largest parameter after {epoch}")
        evaluation = evaluate(self.network, self.validation)
        check_finite(evaluation.energy, f"the energy after {epoch}")
        metrics = EpochMetrics(
            epoch=progress.epoch + 1,
            loss=progress.loss_sum / self.batches,
            train_accuracy=progress.correct / (self.batches * self.batch),
            validation_accuracy=evaluation.accuracy,
            energy_by_step=evaluation.energy_by_step,
            seconds=time.perf_counter() - started,
        )
        self.progress = Progress(self._random_state(), metrics.epoch, history=[*progress.history, metrics])
        return True

    def _random_state(self) -> dict[str, Any]:
        return {} if self._order is None else dict(self._order.bit_generator.state)

    def _ordered(self) -> Sequences:
        """The training sequences in the order of the epoch under way."""
        if self._order is None:
            return self.train
        self._order.bit_generator.state = self.progress.random
        return self.train[self._order.permutation(len(self.train))]

    def _update(self, train: Sequences) -> None:
        progress = self.progress
        start = progress.batch * self.batch
        sequences = train[start : start + self.batch]
        loss, correct = self.network.loss(sequences.one_hot(self.network.dtype), sequences.answers)
        self.optimizer.step(self.network.gradient)
        if self._signs is not None:
            restore_signs(self.network.parameters["cell.weight"], self._signs)
        progress.loss_sum += loss
        progress.correct += correct
        progress.batch += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of its state, live: the parameters by name, and those of the optimiser."""
        adam = {f"adam.{name}": array for name, array in self.optimizer.state().items()}
        return {**self.network.parameters, **adam}


def check_finite(value: float, what: str) -> None:
    """Refuses, with ExperimentError, what is infinite or NaN in a training that has diverged."""
    if not math.isfinite(value):
        raise ExperimentError(f"the training diverged: {what} is {value}; a smaller --lr may help")


class Evaluation(NamedTuple):
    """How a network answers sequences: the fraction that is right, and the energy of all neurons together in
    each step, a mean over the sequences."""

    accuracy: float
    energy_by_step: tuple[float, ...]

    @property
    def energy(self) -> float:
        """Of a sequence."""
        return math.fsum(self.energy_by_step)


def evaluate(network: SequenceClassifier, sequences: Sequences) -> Evaluation:
    """The network's answers to all of the sequences."""
    correct, energy = 0, np.zeros(sequences.task.length)
    for start in range(0, len(sequences), EVALUATION_BATCH):
        part = sequences[start : start + EVALUATION_BATCH]
        response = network.respond(part.one_hot(network.dtype))
        correct += count_correct(response.logits, part.answers)
        energy += response.energy.sum(axis=0, dtype=np.float64)
    return Evaluation(correct / len(sequences), tuple((energy / len(sequences)).tolist()))
