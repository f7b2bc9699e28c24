"""What one sees of a training: a line every few epochs, and on a terminal a progress bar below the lines."""

from __future__ import annotations

import sys
import threading
from types import TracebackType
from typing import Any

from .errors import optional_import
from .training import EpochMetrics, Trainer


class Console:
    """Shows how far a trainer is on its way through so many epochs."""

    def __init__(self, trainer: Trainer, epochs: int) -> None:
        done = trainer.progress.epoch * trainer.batches + trainer.progress.batch
        self._epochs = epochs
        self._every = max(1, epochs // 20)
        self._bar = progress_bar(total=epochs * trainer.batches, initial=done, unit="batch")
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


def progress_bar(**options: Any) -> Any:
    """One of tqdm, where there is a terminal."""
    tqdm = optional_import("tqdm").tqdm
    # Its own lock is shared with forks: one that is killed while it writes would keep all others waiting.
    tqdm.set_lock(threading.RLock())
    return tqdm(disable=not sys.stderr.isatty(), **options)


def duration(seconds: float) -> str:
    """As people say it: `1 h 05 min`, `3 min 20 s`, `7 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
