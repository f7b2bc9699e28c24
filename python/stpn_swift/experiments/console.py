"""What one sees of a training: a line every few epochs, and on a terminal a progress bar below the lines."""

from __future__ import annotations

import sys
from types import TracebackType

from .errors import optional_import
from .training import EpochMetrics, Trainer


class Console:
    """Shows how far a trainer is on its way through so many epochs."""

    def __init__(self, trainer: Trainer, epochs: int) -> None:
        done = trainer.progress.epoch * trainer.batches + trainer.progress.batch
        self._epochs = epochs
        self._every = max(1, epochs // 20)
        self._bar = optional_import("tqdm").tqdm(
            total=epochs * trainer.batches, initial=done, unit="batch", disable=not sys.stderr.isatty()
        )
        self.on_batch = self._bar.update

    def __enter__(self) -> Console:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def on_epoch(self, metrics: EpochMetrics) -> None:
        self._bar.set_postfix_str(f"validation {metrics.validation_accuracy:.4f}", refresh=False)
        if metrics.epoch == 1 or metrics.epoch % self._every == 0 or metrics.epoch == self._epochs:
            self._bar.write(
                f"epoch {metrics.epoch:3}/{self._epochs}   loss {metrics.loss:.4f}   "
                f"train {metrics.train_accuracy:.4f}   validation {metrics.validation_accuracy:.4f}   "
                f"{metrics.seconds:.2f} s"
            )
            sys.stdout.flush()
