"""A run is a folder: config.json, metrics.csv, checkpoint.safetensors, figures/ and, once it is complete,
result.json, with --dale synapses.safetensors too.

The checkpoint alone says how far the run is. metrics.csv is written from its record, also on resuming, so
that a run may be killed between the two files.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from .. import checkpoint
from ..files import write_atomically, write_json
from .config_file import settings_from
from .errors import ExperimentError
from .settings import RetrievalSettings
from .training import EpochMetrics, Progress, Trainer

FORMAT = "stpn_swift checkpoint 1"
SYNAPSES = "stpn_swift synapses 1"

# What reports and comparisons read of metrics.csv, a row, and of result.json.
METRICS = {"epoch", "loss", "train_accuracy", "validation_accuracy", "energy", "seconds"}
RESULTS = {
    "epochs",
    "test_accuracy",
    "test_energy",
    "test_energy_by_step",
    "parameters",
    "seconds",
    "peak_memory_bytes",
}


@dataclass(frozen=True)
class SavedRun:
    """A run as its checkpoint has it."""

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
        self.figures = path / "figures"
        self.synapses = path / "synapses.safetensors"

    def holds_run(self) -> bool:
        return any(file.exists() for file in self._files())

    def _files(self) -> tuple[Path, ...]:
        return self.result, self.synapses, self.checkpoint, self.metrics, self.config

    def create(self, config: dict[str, Any], *, overwrite: bool = False) -> None:
        """Writes config.json.

        Raises
        ------
        ExperimentError
            It holds a run and `overwrite` is off; nothing was changed.
        """
        if self.holds_run():
            if not overwrite:
                raise ExperimentError(
                    f"{self.path} holds a run already: go on with it (--resume), replace it (--overwrite), "
                    "or write elsewhere (--output)"
                )
            for file in self._files():
                file.unlink(missing_ok=True)
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.config, config)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Makes the folder, and keeps other processes from writing to it until this one leaves or dies.

        Raises
        ------
        ExperimentError
            Another process has it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ExperimentError(f"{self.path} is in use: another process trains there") from None
            yield
        finally:
            os.close(descriptor)

    def read_settings(self) -> RetrievalSettings:
        """The settings in config.json.

        Raises
        ------
        ExperimentError
            There is none, or it is not that of a run.
        """
        return settings_from(self._read_config("settings"), RetrievalSettings, str(self.config))

    def read_versions(self) -> dict[str, str]:
        """What the run was begun with, by name.

        Raises
        ------
        ExperimentError
            There is none, or it is not that of a run.
        """
        return {name: str(version) for name, version in dict(self._read_config("versions")).items()}

    def _read_config(self, entry: str) -> Any:
        try:
            return json.loads(self.config.read_text(encoding="utf-8"))[entry]
        except FileNotFoundError:
            raise ExperimentError(f"{self.path} holds no run: there is no {self.config.name}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ExperimentError(f"{self.config} is not the config of a run: {error!r}") from None

    def save(self, settings: RetrievalSettings, trainer: Trainer) -> None:
        """Writes the checkpoint, then metrics.csv."""
        record = {"settings": settings.as_dict(), "progress": trainer.progress.as_dict()}
        checkpoint.save(self.checkpoint, trainer.arrays(), record, FORMAT)
        write_atomically(self.metrics, _csv(trainer.progress.history))

    def load(self, settings: RetrievalSettings) -> SavedRun | None:
        """What the checkpoint holds; None where the run was stopped before its first.

        Raises
        ------
        ExperimentError
            It cannot be read, or is of other settings.
        """
        try:
            arrays, record = checkpoint.load(self.checkpoint, FORMAT)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ExperimentError(f"the checkpoint {error}") from None
        try:
            theirs = settings_from(record["settings"], RetrievalSettings, str(self.checkpoint))
            progress = Progress.from_dict(record["progress"])
        except (ExperimentError, KeyError, TypeError) as error:
            raise ExperimentError(
                f"{self.checkpoint} is of another version of this program: {error}"
            ) from None
        if theirs != settings:
            raise ExperimentError(f"{self.checkpoint} has other settings than {self.config}")
        return SavedRun(progress, arrays)

    def save_synapses(self, images: Mapping[str, NDArray[Any]]) -> None:
        checkpoint.save(self.synapses, images, {}, SYNAPSES)

    def read_synapses(self) -> dict[str, NDArray[Any]] | None:
        """Images of the synapses, (H,K) each; None where there are none.

        Raises
        ------
        ExperimentError
            The file cannot be read.
        """
        try:
            return checkpoint.load(self.synapses, SYNAPSES)[0]
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ExperimentError(str(error)) from None

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv by their columns.

        Raises
        ------
        ExperimentError
            The file is not there or not one of a run.
        """
        try:
            rows = list(csv.DictReader(self.metrics.read_text(encoding="utf-8").splitlines()))
            history = [{name: float(value) for name, value in row.items()} for row in rows]
        except FileNotFoundError:
            raise ExperimentError(f"{self.path} holds no run: there is no {self.metrics.name}") from None
        except (AttributeError, TypeError, ValueError) as error:
            raise ExperimentError(f"{self.metrics} is not the metrics of a run: {error}") from None
        for row in history:
            if missing := METRICS - row.keys():
                raise ExperimentError(f"{self.metrics} is not the metrics of a run: no {min(missing)}")
        return history

    def read_result(self) -> dict[str, Any] | None:
        """What result.json holds; None where the run is not complete.

        Raises
        ------
        ExperimentError
            It is damaged.
        """
        try:
            result = json.loads(self.result.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ExperimentError(f"{self.result} is damaged: {error}") from None
        if not isinstance(result, dict):
            raise ExperimentError(f"{self.result} is damaged: expected an object")
        if missing := RESULTS - result.keys():
            raise ExperimentError(f"{self.result} is damaged: no {min(missing)}")
        return result


def _csv(history: Sequence[EpochMetrics]) -> bytes:
    rows = [row.as_row() for row in history]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] if rows else ["epoch"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
