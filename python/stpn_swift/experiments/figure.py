"""Figures of groups of runs: vector graphics by their suffix."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from ..files import write_atomically
from .dale import Population
from .errors import ExperimentError, optional_import
from .results import Group, mean_and_spread, spread
from .retrieval_data import RetrievalTask

WIDTH, HEIGHT = 7.0, 4.0
LINE_HEIGHT = 0.23
LABEL_WIDTH = 26
# Those of Okabe and Ito, which the colour-blind tell apart, but for yellow, which is faint on white, and two
# of Tol's. Lines and markers tell groups apart in grey too.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
    *("#882255", "#999933"),
)
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
MARKERS = "os^DvP*X<ph"
MARKS = 10


def draw_accuracy(groups: Sequence[Group], path: Path) -> None:
    """Validation accuracy by epoch: the mean over seeds, and between the least and the most.

    Raises
    ------
    ExperimentError
        matplotlib does not know the format that the suffix of the path asks for.
    """
    figure, axes = _axes(groups)
    for place, one in enumerate(groups):
        accuracy = one.by_epoch("validation_accuracy")
        epochs = range(1, len(accuracy) + 1)
        colour, line, marker = style(place)
        centre = [100 * mean(values) for values in accuracy]
        every = max(1, len(accuracy) // MARKS)
        axes.plot(
            epochs,
            centre,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4,
            markevery=(place * every // len(groups), every),  # beside those of the others
            label=_label(one.title),
        )
        least, most = ([100 * end(values) for values in accuracy] for end in (min, max))
        axes.fill_between(epochs, least, most, color=colour, alpha=0.2, linewidth=0)
    _draw_bounds(axes, groups)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(0, 102))
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_energy_by_model(groups: Sequence[Group], path: Path) -> None:
    """The energy of a test sequence: the mean over seeds and its standard deviation."""
    figure, axes = _axes(groups)
    for place, one in enumerate(groups):
        energy = one.values("test_energy")
        colour, _, marker = style(place)
        axes.errorbar(mean(energy), place, xerr=spread(energy), color=colour, marker=marker, capsize=3)
    axes.set_yticks(range(len(groups)), [_label(one.title) for one in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.grid(axis="y", color="0.9")
    axes.set(xlabel="energy of a sequence (a.u.)", xscale="log")
    _label_log(axes.xaxis)
    _save(figure, path)


def draw_energy_by_step(groups: Sequence[Group], path: Path) -> None:
    """The energy of each step of a test sequence, means over seeds."""
    figure, axes = _axes(groups)
    for place, one in enumerate(groups):
        energy = one.energy_by_step()
        colour, line, marker = style(place)
        axes.plot(
            range(1, len(energy) + 1),
            energy,
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4,
            label=_label(one.title),
        )
    axes.set(xlabel="step of the sequence", ylabel="energy (a.u.)", yscale="log")
    _label_log(axes.yaxis)
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_accuracy_and_energy(groups: Sequence[Group], path: Path) -> None:
    """Test accuracy against the energy of a sequence, a point a run."""
    figure, axes = _axes(groups)
    for place, one in enumerate(groups):
        accuracy = [100 * value for value in one.values("test_accuracy")]
        colour, _, marker = style(place)
        energy = one.values("test_energy")
        axes.scatter(energy, accuracy, s=20, color=colour, marker=marker, label=_label(one.title))
    _draw_bounds(axes, groups)
    axes.set(xlabel="energy of a sequence (a.u.)", ylabel="test accuracy (%)", xscale="log", ylim=(0, 102))
    _label_log(axes.xaxis)
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_accuracy_by_pairs(groups: Sequence[Group], path: Path) -> None:
    """Test accuracy by the number of pairs: the mean over seeds, and from the least to the most."""
    figure, axes = _axes(groups)
    kinds: dict[str, list[Group]] = {}
    for one in groups:
        kinds.setdefault(one.title.replace(f", pairs {one.settings.pairs}", ""), []).append(one)
    for place, (title, members) in enumerate(kinds.items()):
        members = sorted(members, key=lambda one: one.settings.pairs)
        accuracy = [[100 * value for value in one.values("test_accuracy")] for one in members]
        means = [mean(values) for values in accuracy]
        ends = [
            [centre - min(values), max(values) - centre]
            for centre, values in zip(means, accuracy, strict=True)
        ]
        pairs = [one.settings.pairs for one in members]
        colour, line, marker = style(place)
        axes.errorbar(
            pairs,
            means,
            yerr=[*zip(*ends, strict=True)],
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=4,
            capsize=3,
            label=_label(title),
        )
    _draw_bounds_by_pairs(axes, [one.settings.task for one in groups])
    ticks = sorted({one.settings.pairs for one in groups})
    axes.set(xlabel="pairs", ylabel="test accuracy (%)", xticks=ticks, ylim=(0, 102))
    figure.legend(loc="outside right upper", frameon=False)
    _save(figure, path)


def draw_short_term(groups: Sequence[Group], path: Path) -> None:
    """The means of F and of |F| over E→E and E→I synapses after each step: means over seeds and their
    standard deviation."""
    figure, panels = _axes(groups, columns=2)
    for axes, name in zip(panels, ("F", "|F|"), strict=True):
        for place, one in enumerate(groups):
            colour, _, marker = style(place)
            for part, (synapses, line) in enumerate((("E→E", "-"), ("E→I", "--"))):
                steps = [*zip(*one.synapses(name, synapses), strict=True)]
                centre, width = zip(*(mean_and_spread(values) for values in steps), strict=True)
                series = 2 * place + part
                beside = 0.5 * ((series + 0.5) / (2 * len(groups)) - 0.5)  # so that no bar hides another
                axes.errorbar(
                    [step + beside for step in range(1, len(steps) + 1)],
                    centre,
                    yerr=width,
                    color=colour,
                    linestyle=line,
                    linewidth=1,
                    marker=marker,
                    markersize=4,
                    markerfacecolor=colour if part == 0 else "white",
                    capsize=2,
                    label=_label(f"{one.title}, {synapses}") if name == "F" else None,
                )
        axes.set(xlabel="step of the sequence", ylabel=f"mean of {name}")
    figure.legend(loc="outside upper center", frameon=False, ncols=min(2, len(groups)))
    _save(figure, path)


def draw_synapses(title: str, images: Mapping[str, Any], path: Path) -> None:
    """Images of F, Λ and Γ: a row for each neuron, the inputs' columns and then the neurons'. White is 0, and
    the colours end where all but 1 % of the values lie, for a few would blot out the others."""
    figure, panels = _axes(columns=3)
    figure.suptitle(textwrap.fill(title, 3 * LABEL_WIDTH))
    for axes, name in zip(panels, ("F", "Λ", "Γ"), strict=True):
        image = images[name]
        H, K = image.shape
        most = float(np.quantile(np.abs(image), 0.99)) or 1.0
        drawn = axes.imshow(
            image, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto", interpolation="nearest"
        )
        E = Population.of(H).excitatory
        axes.axhline(E - 0.5, color="black", linewidth=0.5)
        for column in (K - H, K - H + E):
            axes.axvline(column - 0.5, color="black", linewidth=0.5)
        axes.set(title=name, xlabel="inputs | E | I")
        figure.colorbar(drawn, ax=axes, location="bottom", extend="both")
    panels[0].set(ylabel="neurons: I below E")
    _save(figure, path)


def _axes(groups: Sequence[Group] = (), columns: int = 1) -> tuple[Any, Any]:
    """A figure that is high enough for the titles of the groups in a column."""
    lines = sum(_label(one.title).count("\n") + 1 for one in groups) + len(_BOUNDS) * 2
    size = (WIDTH, max(HEIGHT, LINE_HEIGHT * lines))
    figure = optional_import("matplotlib.figure").Figure(figsize=size, layout="constrained")
    axes = figure.subplots(ncols=columns, squeeze=True)
    for one in [axes] if columns == 1 else axes:
        one.spines[["top", "right"]].set_visible(False)
    return figure, axes


def style(place: int) -> tuple[str, Any, str]:
    """The colour, line and marker of a group: no two of 45 neighbours share two of them."""
    return COLOURS[place % len(COLOURS)], LINES[place % len(LINES)], MARKERS[place % len(MARKERS)]


def _label(title: str) -> str:
    return textwrap.fill(title, LABEL_WIDTH)


def _label_log(axis: Any) -> None:
    """1, 2 and 5 of each decade, as plain numbers."""
    ticker = optional_import("matplotlib.ticker")
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


_BOUNDS = {"digits_known": ("the digits known, but not which", "--"), "chance": ("chance", ":")}


def _draw_bounds_by_pairs(axes: Any, tasks: Sequence[RetrievalTask]) -> None:
    """Those of each number of digits by the number of pairs."""
    all_digits = sorted({task.digits for task in tasks})
    for digits in all_digits:
        of = f", {digits} digits" if len(all_digits) > 1 else ""
        of_pairs = {task.pairs: task for task in tasks if task.digits == digits}
        for name, (meaning, line) in _BOUNDS.items():
            bounds = [100 * getattr(of_pairs[pairs], name) for pairs in sorted(of_pairs)]
            # A legend has error bars after lines: drawn as the others, bounds come last.
            axes.errorbar(
                sorted(of_pairs),
                bounds,
                color="grey",
                linestyle=line,
                linewidth=1,
                label=_label(meaning + of),
            )


def _draw_bounds(axes: Any, groups: Sequence[Group]) -> None:
    """Of the task, where all have the same."""
    tasks: set[RetrievalTask] = {one.settings.task for one in groups}
    if len(tasks) > 1:
        return
    for name, (meaning, line) in _BOUNDS.items():
        bound = getattr(min(tasks, key=repr), name)
        axes.axhline(
            100 * bound, color="grey", linestyle=line, linewidth=1, label=_label(f"{meaning}: {bound:.0%}")
        )


def _save(figure: Any, path: Path) -> None:
    content = io.BytesIO()
    kind = path.suffix.removeprefix(".") or "svg"
    undated = {"metadata": {"Date": None}} if kind == "svg" else {}
    try:
        with optional_import("matplotlib").rc_context({"svg.hashsalt": "stpn_swift"}):  # the same bytes again
            figure.savefig(content, format=kind, dpi=150, **undated)
    except ValueError as error:
        raise ExperimentError(f"{path}: {error}") from None
    write_atomically(path, content.getvalue())
