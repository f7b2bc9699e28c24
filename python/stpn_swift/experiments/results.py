"""The results of runs, read from their folders and grouped: a group is what differs in its seed alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, cast

from numpy.typing import NDArray

from . import comparison
from .comparison import Sitting
from .errors import ExperimentError
from .models import MODELS, differences, usual_backend
from .run_folder import Result, RunFolder
from .settings import RetrievalSettings


@dataclass(frozen=True)
class RunResult:
    """A run and how far it came."""

    folder: Path
    settings: RetrievalSettings
    history: list[dict[str, float]]
    """The rows of metrics.csv."""
    result: Result | None
    """What result.json holds; None where the run is not complete."""
    versions: list[dict[str, str]]
    """What it was trained by, one after the other."""
    images: dict[str, NDArray[Any]] | None = None
    """Of its synapses, with excitatory and inhibitory neurons."""

    def folder_from(self, page: Path) -> str:
        """The run's folder, as one finds it from the folder of a page."""
        return os.path.relpath(self.folder, page)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone, those that are complete."""

    title: str
    settings: RetrievalSettings
    runs: Sequence[RunResult]

    def values(self, name: str) -> list[float]:
        """An entry of result.json, of each run."""
        return [float(cast(Any, run.result)[name]) for run in self.runs if run.result is not None]

    def by_epoch(self, column: str) -> list[list[float]]:
        """A column of metrics.csv, of each run: as many epochs as all have."""
        return [
            list(values)
            for values in zip(*([row[column] for row in run.history] for run in self.runs), strict=False)
        ]

    def energy_by_step(self) -> list[float]:
        """On the test set, means over the runs."""
        return [
            mean(values)
            for values in zip(
                *(run.result["test_energy_by_step"] for run in self.runs if run.result), strict=True
            )
        ]

    def synapses(self, name: str, between: str) -> list[Any]:
        """With excitatory and inhibitory neurons, of each run: `Synapses.means()[name][between]`."""
        return [
            cast(Any, run.result)["synapses"][name][between] for run in self.runs if run.result is not None
        ]


@dataclass(frozen=True)
class Found:
    """What is in folders and all below them."""

    runs: list[RunResult]
    """In the order of the networks and seeds."""
    comparisons: list[tuple[Path, list[Sitting]]]
    """Their folders, and when they ran."""
    damaged: list[str]
    """A sentence on each file that cannot be read, whose run or comparison is left out."""


def find_runs(paths: Iterable[Path]) -> Found:
    """The runs and comparisons in folders and all below them.

    Raises
    ------
    ExperimentError
        A folder holds no run.
    """
    runs: dict[Path, RunResult] = {}
    comparisons: dict[Path, tuple[Path, list[Sitting]]] = {}
    damaged: dict[str, None] = {}
    for path in paths:
        folders = [*_folders(path)]
        if not any(RunFolder(folder).config.exists() for folder in folders):
            raise ExperimentError(f"{path} holds no run: there is no config.json in it or below")
        for folder in folders:
            try:
                if RunFolder(folder).config.exists():
                    runs[folder.resolve()] = _read_run(RunFolder(folder))
                if (folder / comparison.NAME).exists():
                    sittings = comparison.read_sittings(folder / comparison.NAME)
                    comparisons[folder.resolve()] = (folder, sittings)
            except (ExperimentError, OSError) as error:
                damaged[str(error)] = None
    order = [*MODELS]
    in_order = sorted(runs.values(), key=lambda run: (order.index(run.settings.model), run.settings.seed))
    return Found(in_order, [*comparisons.values()], [*damaged])


def _folders(top: Path) -> Iterator[Path]:
    """It and all below it in their order, also behind symbolic links, each once; hidden ones are left out."""
    seen: set[str] = set()
    for folder, below, _ in os.walk(top, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield Path(folder)


def _read_run(folder: RunFolder) -> RunResult:
    settings = folder.read_settings()
    try:
        settings.check()
    except ExperimentError as error:
        raise ExperimentError(f"{folder.config}: {error}") from None
    history = folder.read_metrics() if folder.metrics.exists() else []
    result = folder.read_result(settings)
    if result is not None and len(history) != result["epochs"]:
        raise ExperimentError(
            f"{folder.metrics} has {len(history)} epochs, and {folder.result} tells of {result['epochs']}"
        )
    return RunResult(folder.path, settings, history, result, folder.read_versions(), folder.read_synapses())


def group(runs: Sequence[RunResult]) -> list[Group]:
    """The groups of the complete runs; their titles name the settings in which they differ.

    Raises
    ------
    ExperimentError
        Two are of the same settings and seed: to count both would make one seed two.
    """
    kinds: list[tuple[RetrievalSettings, list[RunResult]]] = []
    for run in runs:
        if run.result is None:
            continue
        kind = replace(run.settings, seed=0)
        same = next((members for settings, members in kinds if settings == kind), None)
        if same is None:
            kinds.append((kind, [run]))
            continue
        for other in same:
            if other.settings.seed == run.settings.seed:
                raise ExperimentError(
                    f"{other.folder} and {run.folder} are runs of the same settings and seed: give one"
                )
        same.append(run)
    shared = common_settings([settings for settings, _ in kinds])
    titles = _distinct([_title(settings, shared) for settings, _ in kinds])
    return [Group(title, *kind) for title, kind in zip(titles, kinds, strict=True)]


def common_settings(settings: Sequence[RetrievalSettings]) -> dict[str, Any]:
    """Those that are the same in all, but for the seed."""
    records = [one.as_dict() for one in settings]
    return {
        name: value
        for name, value in (records[0].items() if records else ())
        if name != "seed" and all(record[name] == value for record in records)
    }


def _title(settings: RetrievalSettings, shared: dict[str, Any]) -> str:
    usual = {
        "model": settings.model,
        "seed": settings.seed,
        "hidden_size": MODELS[settings.model].hidden_size,
        "backend": usual_backend(settings.describe()),
    }
    own = {**settings.as_dict(), "section": configured(settings)}
    names = {"hidden_size": "H", "variant": "", "section": ""}
    parts = (
        f"{names.get(name, name.replace('_', ' '))} {value}".strip()
        for name, value in own.items()
        if name not in shared and value is not None and value != usual.get(name)
    )
    return ", ".join((MODELS[settings.model].title, *parts))


def configured(settings: RetrievalSettings) -> str | None:
    """What a network has otherwise than the model, where a configuration describes it."""
    if settings.section is None:
        return None
    usual = replace(settings, section=None)
    return ", ".join(differences(settings.describe(), usual.describe())) or "as configured"


def _distinct(titles: Sequence[str]) -> list[str]:
    """With numbers, where several are the same."""
    return [
        title if titles.count(title) == 1 else f"{title} ({titles[: place + 1].count(title)})"
        for place, title in enumerate(titles)
    ]


def spread(values: Sequence[float]) -> float:
    """The standard deviation over seeds; 0 of a single one."""
    return stdev(values) if len(values) > 1 else 0.0


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    return mean(values), spread(values)


def with_spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """`mean ± standard deviation`."""
    return show(mean(values)) + (f" ± {show(stdev(values))}" if len(values) > 1 else "")
