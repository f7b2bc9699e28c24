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
import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NotRequired, TypedDict, cast, get_type_hints

from numpy.typing import NDArray

from .. import checkpoint
from ..files import read_json, write_atomically, write_json
from .config_file import check_type, settings_from
from .errors import ExperimentError
from .settings import RetrievalSettings
from .training import EpochMetrics, Progress, Trainer

FORMAT = "stpn_swift checkpoint 1"
SYNAPSES = "stpn_swift synapses 1"

# What reports and comparisons read of a row of metrics.csv.
METRICS = {"epoch", "loss", "train_accuracy", "validation_accuracy", "energy", "seconds"}

Course = TypedDict("Course", {"E→E": list[float], "E→I": list[float]})
Mean = TypedDict("Mean", {"E→E": float, "E→I": float})
SynapseMeans = TypedDict("SynapseMeans", {"F": Course, "|F|": Course, "Λ": Mean, "Γ": Mean})


class Result(TypedDict):
    """What they read of result.json."""

    epochs: int
    test_sequences: int
    test_accuracy: float
    test_energy: float
    test_energy_by_step: list[float]
    parameters: int
    seconds: float
    peak_memory_bytes: int
    synapses: NotRequired[SynapseMeans]


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
        self.figure = self.figures / "accuracy.svg"
        self.log = path / "log.txt"
        self.tensorboard = path / "tensorboard"
        self.synapses = path / "synapses.safetensors"

    def holds_run(self) -> bool:
        return any(file.exists() for file in self._files())

    def _files(self) -> tuple[Path, ...]:
        return self.result, self.synapses, self.checkpoint, self.metrics, self.config

    def create(self, config: Mapping[str, Any]) -> None:
        """Writes config.json.

        Raises
        ------
        ExperimentError
            It holds a run; nothing was changed.
        """
        if self.holds_run():
            raise ExperimentError(
                f"{self.path} holds a run already: go on with it (--resume), replace it (--overwrite), "
                "or write elsewhere (--output)"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        self.write_config(config)

    def replace(self, config: Mapping[str, Any], settings: RetrievalSettings, trainer: Trainer) -> None:
        """Puts a new run in the place of the one that it holds, of which all stays until all of the new one
        is written."""
        new = RunFolder(self.path / ".new")
        shutil.rmtree(new.path, ignore_errors=True)
        try:
            new.create(config)
            new.save(settings, trainer)
            for file in (*self._files(), self.figure, self.log):
                file.unlink(missing_ok=True)
            shutil.rmtree(self.tensorboard, ignore_errors=True)
            for file in (new.config, new.checkpoint, new.metrics):
                os.replace(file, self.path / file.name)
        finally:
            shutil.rmtree(new.path, ignore_errors=True)

    def write_config(self, config: Mapping[str, Any]) -> None:
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
        config = self._read_config()
        if "settings" not in config:
            raise ExperimentError(f"{self.config} is not the config of a run: no settings")
        return settings_from(config["settings"], RetrievalSettings, str(self.config))

    def read_versions(self) -> list[dict[str, str]]:
        """What the run was begun with, by name, and what else it has gone on with.

        Raises
        ------
        ExperimentError
            There is none, or it is not that of a run.
        """
        config = self._read_config()
        check_type(config.get("versions"), dict[str, str], f"{self.config}: versions")
        check_type(config.get("later_versions", []), list[dict[str, str]], f"{self.config}: later_versions")
        return [config["versions"], *config.get("later_versions", [])]

    def _read_config(self) -> dict[str, Any]:
        try:
            return _object(self.config, "is not the config of a run")
        except FileNotFoundError:
            raise ExperimentError(f"{self.path} holds no run: there is no {self.config.name}") from None

    def save(self, settings: RetrievalSettings, trainer: Trainer) -> None:
        """Writes the checkpoint, then metrics.csv."""
        record = {"settings": settings.as_dict(), "progress": trainer.progress.as_dict()}
        checkpoint.save(self.checkpoint, trainer.arrays(), record, FORMAT)
        self.save_metrics(trainer.progress.history)

    def save_metrics(self, history: Sequence[EpochMetrics]) -> None:
        write_atomically(self.metrics, _csv(history))

    def load(self, settings: RetrievalSettings) -> SavedRun | None:
        """What the checkpoint holds, of a run of as many epochs or fewer; None where the run was stopped
        before its first.

        Raises
        ------
        ExperimentError
            It cannot be read, is of other settings, or has been removed since.
        """
        try:
            arrays, record = checkpoint.load(self.checkpoint, FORMAT)
        except FileNotFoundError:
            self._check_nothing_recorded()
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
        if replace(theirs, epochs=settings.epochs) != settings or theirs.epochs > settings.epochs:
            raise ExperimentError(f"{self.checkpoint} has other settings than {self.config}")
        return SavedRun(progress, arrays)

    def _check_nothing_recorded(self) -> None:
        rows = self.metrics.read_bytes().count(b"\n") - 1 if self.metrics.exists() else 0
        record = self.result if self.result.exists() else self.metrics if rows > 0 else None
        if record is not None:
            raise ExperimentError(
                f"there is no checkpoint {self.checkpoint}, but {record}: the run cannot go on, and training "
                "it anew would destroy its record (--overwrite does; --output trains elsewhere)"
            )

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
            if not all(map(math.isfinite, row.values())):
                raise ExperimentError(f"{self.metrics} is not the metrics of a run: a number is not finite")
        return history

    def read_result(self, settings: RetrievalSettings) -> Result | None:
        """What result.json holds; None where the run is not complete.

        Raises
        ------
        ExperimentError
            It is damaged, or not that of a run with these settings.
        """
        try:
            result = _object(self.result, "is damaged")
        except FileNotFoundError:
            return None
        for name, kind in get_type_hints(Result).items():
            if name != "synapses" or settings.dale is not None:
                if name not in result:
                    raise ExperimentError(f"{self.result} is damaged: no {name}")
                check_type(result[name], kind, f"{self.result}: {name}")
        courses = [result["test_energy_by_step"]]
        if settings.dale is not None:
            courses += (result["synapses"][name][part] for name in ("F", "|F|") for part in ("E→E", "E→I"))
        if any(len(course) != settings.task.length for course in courses):
            raise ExperimentError(f"{self.result} is damaged: a sequence has {settings.task.length} steps")
        return cast(Result, result)


def _object(path: Path, fault: str) -> dict[str, Any]:
    """That of a file of JSON; the fault is what one says of a file that has none."""
    try:
        record = read_json(path)
    except ValueError as error:
        raise ExperimentError(f"{path} {fault}: {error}") from None
    if not isinstance(record, dict):
        raise ExperimentError(f"{path} {fault}: expected an object, got {type(record).__name__}")
    return record


def _csv(history: Sequence[EpochMetrics]) -> bytes:
    rows = [row.as_row() for row in history]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*rows[0]] if rows else ["epoch"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
