"""The metrics of a run for TensorBoard."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from .errors import optional_import
from .training import EpochMetrics


class TensorBoard:
    """Writes metrics to a folder that is made anew, so that a run which goes on has each epoch once.

    Parameters
    ----------
    folder
        For `tensorboard --logdir`.
    history
        The epochs before.

    Raises
    ------
    ExperimentError
        tensorboardX is not installed.
    OSError
        The folder cannot be written to.
    """

    def __init__(self, folder: Path, history: Sequence[EpochMetrics]) -> None:
        writer = optional_import("tensorboardX").SummaryWriter
        if folder.exists():
            shutil.rmtree(folder)
        self._writer = writer(str(folder))
        for metrics in history:
            self.on_epoch(metrics)

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def on_epoch(self, metrics: EpochMetrics) -> None:
        row = metrics.as_row()
        for name in ("loss", "train_accuracy", "validation_accuracy", "energy", "seconds"):
            self._writer.add_scalar(name, row[name], metrics.epoch)
