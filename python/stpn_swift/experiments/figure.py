"""Figures of groups of runs: vector graphics by their suffix."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from ..files import write_atomically
from .errors import ExperimentError, optional_import
from .results import Group, spread
from .retrieval_data import CHANCE, DIGITS_KNOWN

WIDE = (7.0, 4.0)
_BOUNDS = ((CHANCE, "chance"), (DIGITS_KNOWN, "the three digits known, but not which"))


def draw_accuracy(groups: Sequence[Group], path: Path) -> None:
    """Validation accuracy by epoch: the mean over seeds, and between the least and the most.

    Raises
    ------
    ExperimentError
        matplotlib does not know the format that the suffix of the path asks for.
    """
    figure, axes = _axes()
    for one in groups:
        accuracy = one.by_epoch("validation_accuracy")
        epochs = range(1, len(accuracy) + 1)
        (line,) = axes.plot(epochs, [100 * mean(values) for values in accuracy], label=one.title)
        least, most = ([100 * end(values) for values in accuracy] for end in (min, max))
        axes.fill_between(epochs, least, most, color=line.get_color(), alpha=0.2, linewidth=0)
    _draw_bounds(axes)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 102))
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_energy_by_model(groups: Sequence[Group], path: Path) -> None:
    """The energy of a test sequence: the mean over seeds and its standard deviation."""
    figure, axes = _axes()
    for place, one in enumerate(groups):
        energy = one.values("test_energy")
        axes.barh(place, mean(energy), xerr=spread(energy), color=f"C{place}", capsize=3)
    axes.set_yticks(range(len(groups)), [one.title for one in groups])
    axes.invert_yaxis()
    axes.set(xlabel="energy of a sequence", xscale="log")
    _save(figure, path)


def draw_energy_by_step(groups: Sequence[Group], path: Path) -> None:
    """The energy of each step of a test sequence, means over seeds."""
    figure, axes = _axes()
    for one in groups:
        energy = one.energy_by_step()
        axes.plot(range(1, len(energy) + 1), energy, marker="o", markersize=3, label=one.title)
    axes.set(xlabel="step of the sequence", ylabel="energy", yscale="log")
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_accuracy_and_energy(groups: Sequence[Group], path: Path) -> None:
    """Test accuracy against the energy of a sequence, a point a run."""
    figure, axes = _axes()
    for one in groups:
        accuracy = [100 * value for value in one.values("test_accuracy")]
        axes.scatter(one.values("test_energy"), accuracy, s=20, label=one.title)
    _draw_bounds(axes)
    axes.set(xlabel="energy of a sequence", ylabel="test accuracy (%)", xscale="log", ylim=(0, 102))
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def _axes() -> tuple[Any, Any]:
    figure = optional_import("matplotlib.figure").Figure(figsize=WIDE, layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw_bounds(axes: Any) -> None:
    across = axes.get_yaxis_transform()
    for bound, meaning in _BOUNDS:
        axes.axhline(100 * bound, color="grey", linestyle="--", linewidth=1)
        text = f"{meaning}: {bound:.0%}"
        axes.text(0.99, 100 * bound + 1, text, transform=across, ha="right", color="grey", fontsize="small")


def _save(figure: Any, path: Path) -> None:
    content = io.BytesIO()
    try:
        figure.savefig(content, format=path.suffix.removeprefix(".") or "svg", dpi=150)
    except ValueError as error:
        raise ExperimentError(f"{path}: {error}") from None
    write_atomically(path, content.getvalue())
