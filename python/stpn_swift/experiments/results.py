"""The results of runs, read from their folders and grouped: a group is what differs in its seed alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from .errors import ExperimentError
from .models import MODELS, usual_backend
from .run_folder import RunFolder
from .settings import RetrievalSettings


@dataclass(frozen=True)
class RunResult:
    """A run and how far it came."""

    folder: Path
    settings: RetrievalSettings
    history: list[dict[str, float]]
    """The rows of metrics.csv."""
    result: dict[str, Any] | None
    """What result.json holds; None where the run is not complete."""

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
        return [float(run.result[name]) for run in self.runs if run.result is not None]

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
        return [run.result["synapses"][name][between] for run in self.runs if run.result is not None]


def find_runs(paths: Iterable[Path]) -> list[RunResult]:
    """The runs in folders and all below them, in the order of the networks and seeds.

    Raises
    ------
    ExperimentError
        A folder holds none, or one that is damaged.
    """
    found: dict[Path, RunResult] = {}
    for path in paths:
        configs = sorted(path.rglob("config.json"))
        if not configs:
            raise ExperimentError(f"{path} holds no run: there is no config.json in it or below")
        for config in configs:
            folder = RunFolder(config.parent)
            history = folder.read_metrics() if folder.metrics.exists() else []
            found[config.parent.resolve()] = RunResult(
                config.parent, folder.read_settings(), history, folder.read_result()
            )
    order = [*MODELS]
    return sorted(found.values(), key=lambda run: (order.index(run.settings.model), run.settings.seed))


def group(runs: Sequence[RunResult]) -> list[Group]:
    """The groups of the complete runs; their titles name the settings in which they differ."""
    kinds: list[tuple[RetrievalSettings, list[RunResult]]] = []
    for run in runs:
        if run.result is None:
            continue
        kind = replace(run.settings, seed=0)
        same = next((members for settings, members in kinds if settings == kind), None)
        if same is None:
            kinds.append((kind, [run]))
        else:
            same.append(run)
    shared = common_settings([settings for settings, _ in kinds])
    return [Group(_title(settings, shared), settings, members) for settings, members in kinds]


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
    own = {**settings.as_dict(), "section": "as configured" if settings.section else None}
    names = {"hidden_size": "H", "variant": "", "section": ""}
    parts = (
        f"{names.get(name, name.replace('_', ' '))} {value}".strip()
        for name, value in own.items()
        if name not in shared and value is not None and value != usual.get(name)
    )
    return ", ".join((MODELS[settings.model].title, *parts))


def spread(values: Sequence[float]) -> float:
    """The standard deviation over seeds; 0 of a single one."""
    return stdev(values) if len(values) > 1 else 0.0


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    return mean(values), spread(values)


def with_spread(values: Sequence[float], show: Callable[[float], str]) -> str:
    """`mean ± standard deviation`."""
    return show(mean(values)) + (f" ± {show(stdev(values))}" if len(values) > 1 else "")
