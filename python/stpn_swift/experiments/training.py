"""Training by epochs that can stop after any batch and go on from there to the same bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from numpy.typing import NDArray

from .adam import Adam
from .errors import ExperimentError
from .network import SequenceClassifier, count_correct
from .retrieval_data import Sequences

# Larger ones are slower: BLAS wakes threads for the readout that wait longer than they work.
EVALUATION_BATCH = 500


@dataclass(frozen=True)
class EpochMetrics:
    """One row of metrics.csv. Accuracies are fractions, in training of each batch before its update."""

    epoch: int
    loss: float
    train_accuracy: float
    validation_accuracy: float
    seconds: float


@dataclass
class Progress:
    """How far a training is: all of its state that is not in arrays."""

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
        return cls(**{**record, "history": [EpochMetrics(**row) for row in record["history"]]})


class Trainer:
    """Trains a network on batches in the order of the data; an incomplete last batch is left out."""

    def __init__(
        self,
        network: SequenceClassifier,
        optimizer: Adam,
        train: Sequences,
        validation: Sequences,
        batch: int,
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.train = train
        self.validation = validation
        self.batch = batch
        self.batches = len(train) // batch
        self.progress = Progress()

    def epoch(self, stop: Callable[[], bool], on_batch: Callable[[], object]) -> bool:
        """Goes on to the end of the epoch, or to the end of the batch in which `stop` begins to answer True.

        Returns
        -------
        bool
            Whether the epoch was finished.

        Raises
        ------
        ExperimentError
            The loss is not finite: the training has diverged.
        """
        progress = self.progress
        started = time.perf_counter() - progress.seconds
        while progress.batch < self.batches:
            self._update()
            on_batch()
            if stop() and progress.batch < self.batches:
                progress.seconds = time.perf_counter() - started
                return False

        if not math.isfinite(progress.loss_sum):
            raise ExperimentError(
                f"the training diverged: the loss of epoch {progress.epoch + 1} is "
                f"{progress.loss_sum / self.batches}; a smaller --lr may help"
            )
        metrics = EpochMetrics(
            epoch=progress.epoch + 1,
            loss=progress.loss_sum / self.batches,
            train_accuracy=progress.correct / (self.batches * self.batch),
            validation_accuracy=accuracy(self.network, self.validation),
            seconds=time.perf_counter() - started,
        )
        self.progress = Progress(epoch=metrics.epoch, history=[*progress.history, metrics])
        return True

    def _update(self) -> None:
        progress = self.progress
        start = progress.batch * self.batch
        sequences = self.train[start : start + self.batch]
        loss, correct = self.network.loss(sequences.one_hot(), sequences.answers)
        self.optimizer.step(self.network.gradient)
        progress.loss_sum += loss
        progress.correct += correct
        progress.batch += 1

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays of its state, live: the parameters by name, and those of the optimiser."""
        adam = {f"adam.{name}": array for name, array in self.optimizer.state().items()}
        return {**self.network.parameters, **adam}


def accuracy(network: SequenceClassifier, sequences: Sequences) -> float:
    """The fraction of the sequences, of all of them, that the network answers right."""
    correct = 0
    for start in range(0, len(sequences), EVALUATION_BATCH):
        part = sequences[start : start + EVALUATION_BATCH]
        correct += count_correct(network.logits(part.one_hot()), part.answers)
    return correct / len(sequences)
