"""A run is a folder: config.json, metrics.csv, checkpoint.safetensors, result.json, figures/accuracy.png.

The checkpoint alone says how far the run is. metrics.csv is written from its record, also on resuming, so
that a run may be killed between the two files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import checkpoint
from ..files import write_atomically, write_json
from .errors import ExperimentError
from .settings import RetrievalSettings
from .training import EpochMetrics, Progress, Trainer

FORMAT = "stpn_swift checkpoint 1"


@dataclass(frozen=True)
class SavedRun:
    """A run as its checkpoint has it."""

    settings: RetrievalSettings
    progress: Progress
    arrays: dict[str, NDArray[Any]]

    def restore(self, trainer: Trainer) -> None:
        """Brings a new trainer with the same settings to where the run is.

        Raises
        ------
        ExperimentError
            The arrays are those of another network.
        """
        try:
            checkpoint.restore(trainer.arrays(), self.arrays)
        except ValueError as error:
            raise ExperimentError(f"the checkpoint is of another network: {error}") from None
        trainer.progress = self.progress


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.json"
        self.metrics = path / "metrics.csv"
        self.checkpoint = path / "checkpoint.safetensors"
        self.result = path / "result.json"
        self.figure = path / "figures" / "accuracy.png"

    def create(self, config: dict[str, Any], *, overwrite: bool) -> None:
        """Makes the folder and writes config.json.

        Raises
        ------
        ExperimentError
            It holds a run and `overwrite` is off; nothing was changed.
        """
        files = (self.config, self.metrics, self.checkpoint, self.result, self.figure)
        if any(file.exists() for file in files):
            if not overwrite:
                raise ExperimentError(
                    f"{self.path} holds a run already: go on with it (--resume), replace it (--overwrite), "
                    "or write elsewhere (--output)"
                )
            for file in files:
                file.unlink(missing_ok=True)
        self.figure.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.config, config)

    def save(self, settings: RetrievalSettings, trainer: Trainer) -> None:
        """Writes the checkpoint, then metrics.csv."""
        record = {"settings": settings.as_dict(), "progress": trainer.progress.as_dict()}
        checkpoint.save(self.checkpoint, trainer.arrays(), record, FORMAT)
        write_atomically(self.metrics, _csv(trainer.progress.history))

    def load(self) -> SavedRun:
        """What the checkpoint holds.

        Raises
        ------
        ExperimentError
            There is none that can be read.
        """
        try:
            arrays, record = checkpoint.load(self.checkpoint, FORMAT)
        except FileNotFoundError:
            raise ExperimentError(f"there is no checkpoint {self.checkpoint}") from None
        except ValueError as error:
            raise ExperimentError(f"the checkpoint {error}") from None
        try:
            settings = RetrievalSettings(**record["settings"])
            progress = Progress.from_dict(record["progress"])
        except (KeyError, TypeError) as error:
            raise ExperimentError(
                f"{self.checkpoint} is of another version of this program: {error}"
            ) from None
        return SavedRun(settings, progress, arrays)

    def read_metrics(self) -> list[EpochMetrics]:
        """The rows of metrics.csv.

        Raises
        ------
        ExperimentError
            The file is not there or not one of a run.
        """
        try:
            rows = list(csv.DictReader(self.metrics.read_text().splitlines()))
            return [
                EpochMetrics(int(row.pop("epoch")), **{name: float(row[name]) for name in row})
                for row in rows
            ]
        except FileNotFoundError:
            raise ExperimentError(f"{self.path} holds no run: there is no {self.metrics.name}") from None
        except (KeyError, TypeError, ValueError) as error:
            raise ExperimentError(f"{self.metrics} is not the metrics of a run: {error}") from None


def _csv(history: Sequence[EpochMetrics]) -> bytes:
    columns = [column.name for column in fields(EpochMetrics)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([getattr(row, column) for column in columns] for row in history)
    return text.getvalue().encode()
