"""The report on runs of associative retrieval: tables and figures; each number names its run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..files import write_atomically
from . import document
from .document import Figure, Heading, Paragraph, Part, Table
from .errors import ExperimentError
from .figure import draw_accuracy, draw_accuracy_and_energy, draw_energy_by_model, draw_energy_by_step
from .results import Group, RunResult, common_settings, find_runs, group, with_spread
from .retrieval_data import CHANCE, DIGITS_KNOWN

TITLE = "Associative retrieval"

_FIGURES: dict[str, tuple[Callable[[Sequence[Group], Path], None], str]] = {
    "accuracy-by-epoch.svg": (
        draw_accuracy,
        "Validation accuracy by epoch: the mean over seeds, and from the least to the most",
    ),
    "energy-by-model.svg": (
        draw_energy_by_model,
        "Energy of a test sequence: the mean over seeds and its standard deviation",
    ),
    "energy-by-step.svg": (draw_energy_by_step, "Energy of each step of a test sequence, means over seeds"),
    "accuracy-and-energy.svg": (
        draw_accuracy_and_energy,
        "Test accuracy against the energy of a sequence, a point a run",
    ),
}


def write_report(paths: Sequence[Path], output: Path) -> list[Path]:
    """Writes report.md, report.html and figures.

    Parameters
    ----------
    paths
        Runs, or folders with runs below them.
    output
        The folder to write to.

    Returns
    -------
    list of Path
        The pages.

    Raises
    ------
    ExperimentError
        There is no complete run among them, or one is damaged.
    OSError
        A file cannot be written.
    """
    runs = find_runs(paths)
    groups = group(runs)
    if not groups:
        raise ExperimentError("there is nothing to report: none of the runs is complete")
    (output / "figures").mkdir(parents=True, exist_ok=True)
    for name, (draw, _) in _FIGURES.items():
        draw(groups, output / "figures" / name)
    parts = [*_summary(runs, groups), *_figures(), *_by_run(runs, output)]
    pages = {"report.md": document.markdown(parts), "report.html": document.html(TITLE, parts)}
    for name, text in pages.items():
        write_atomically(output / name, text.encode())
    return [output / name for name in pages]


def _summary(runs: Sequence[RunResult], groups: Sequence[Group]) -> list[Part]:
    shared = common_settings([run.settings for run in runs])
    named = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in shared.items() if value is not None
    )
    complete = sum(len(one.runs) for one in groups)
    return [
        Heading(TITLE, 1),
        Paragraph(
            f"{complete} complete runs of {len(runs)}, in {len(groups)} groups of the same settings but for "
            f"the seed. All have: {named}."
        ),
        Paragraph(
            f"Guessing is right in {CHANCE:.0%} of the sequences, knowing the three digits but not which in "
            f"{DIGITS_KNOWN:.0%}; all can be right. Accuracies are those of the last epoch's network on the "
            "test set. Energies are those of all neurons together without the readout, means over the "
            "sequences of the test set. ± is the standard deviation over seeds."
        ),
        Table(
            [
                "",
                "H",
                "parameters",
                "seeds",
                "test accuracy (%)",
                "least",
                "most",
                "energy",
                "seconds",
                "memory (MB)",
            ],
            [_row(one) for one in groups],
        ),
    ]


def _row(one: Group) -> list[str]:
    accuracy = [100 * value for value in one.values("test_accuracy")]
    return [
        one.title,
        str(one.settings.hidden_size),
        f"{one.values('parameters')[0]:.0f}",
        str(len(one.runs)),
        with_spread(accuracy, lambda value: f"{value:.2f}"),
        f"{min(accuracy):.2f}",
        f"{max(accuracy):.2f}",
        with_spread(one.values("test_energy"), lambda value: f"{value:.1f}"),
        with_spread(one.values("seconds"), lambda value: f"{value:.0f}"),
        with_spread([value / 1e6 for value in one.values("peak_memory_bytes")], lambda value: f"{value:.0f}"),
    ]


def _figures() -> list[Part]:
    return [Figure(f"figures/{name}", caption) for name, (_, caption) in _FIGURES.items()]


def _by_run(runs: Sequence[RunResult], output: Path) -> list[Part]:
    rows = []
    for run in runs:
        name = [os.path.relpath(run.folder, output), run.settings.model, str(run.settings.seed)]
        if run.result is None:
            rows.append([*name, f"{len(run.history)} of {run.settings.epochs}", "not complete", "", ""])
        else:
            result = run.result
            accuracy, energy = f"{100 * result['test_accuracy']:.3f}", f"{result['test_energy']:.2f}"
            rows.append([*name, str(result["epochs"]), accuracy, energy, f"{result['seconds']:.0f}"])
    columns = ["folder", "model", "seed", "epochs", "test accuracy (%)", "energy", "seconds"]
    return [Heading("Every run"), Table(columns, rows)]
