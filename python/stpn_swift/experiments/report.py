"""The report on runs of associative retrieval: tables and figures; each number names its run."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from ..files import write_atomically
from . import document
from .console import duration
from .document import Figure, Heading, Paragraph, Part, Table
from .errors import ExperimentError
from .figure import (
    draw_accuracy,
    draw_accuracy_and_energy,
    draw_accuracy_by_pairs,
    draw_energy_by_model,
    draw_energy_by_step,
    draw_short_term,
    draw_synapses,
)
from .results import Found, Group, RunResult, common_settings, configured, find_runs, group, with_spread

TITLE = "Associative retrieval"

Drawing = tuple[str, Callable[[Sequence[Group], Path], None], str]

_FIGURES: list[Drawing] = [
    (
        "accuracy-by-epoch.svg",
        draw_accuracy,
        "Validation accuracy by epoch: the mean over seeds, and from the least to the most",
    ),
    (
        "energy-by-model.svg",
        draw_energy_by_model,
        "Energy of a test sequence: the mean over seeds and its standard deviation",
    ),
    ("energy-by-step.svg", draw_energy_by_step, "Energy of each step of a test sequence, means over seeds"),
    (
        "accuracy-and-energy.svg",
        draw_accuracy_and_energy,
        "Test accuracy against the energy of a sequence, a point a run",
    ),
]
_BY_PAIRS: Drawing = (
    "accuracy-by-pairs.svg",
    draw_accuracy_by_pairs,
    "Test accuracy by the number of pairs: the mean over seeds, and from the least to the most",
)
_SHORT_TERM: Drawing = (
    "short-term.svg",
    draw_short_term,
    "F and |F| of the synapses between excitatory neurons (E→E) and from them to inhibitory ones (E→I) "
    "after each step: means over the test sequences and the synapses, then over seeds, with the standard "
    "deviation over seeds",
)


def write_report(paths: Sequence[Path], output: Path) -> tuple[list[Path], list[str]]:
    """Writes report.md, report.html and figures.

    Parameters
    ----------
    paths
        Runs, or folders with runs below them.
    output
        The folder to write to.

    Returns
    -------
    tuple
        The pages, and a sentence on each file that is damaged, whose run or comparison is left out.

    Raises
    ------
    ExperimentError
        There is no complete run among them, or two of the same settings and seed.
    OSError
        A file cannot be written.
    """
    found = find_runs(paths)
    groups = group(found.runs)
    if not groups:
        reasons = ["none of the runs is complete", *found.damaged]
        raise ExperimentError(f"there is nothing to report: {'; '.join(reasons)}")
    (output / "figures").mkdir(parents=True, exist_ok=True)
    pairs = [_BY_PAIRS] if len({one.settings.pairs for one in groups}) > 1 else []
    parts = [
        *_summary(found, groups),
        *(_draw(drawing, groups, output) for drawing in (*pairs, *_FIGURES)),
        *_signed([one for one in groups if one.settings.dale is not None], output),
        *_by_run(found, output),
        *_by_comparison(found, output),
    ]
    pages = {"report.md": document.markdown(parts), "report.html": document.html(TITLE, parts)}
    for name, text in pages.items():
        write_atomically(output / name, text.encode())
    return [output / name for name in pages], found.damaged


def _summary(found: Found, groups: Sequence[Group]) -> list[Part]:
    runs = found.runs
    shared = common_settings([run.settings for run in runs])
    if "section" in shared:
        shared["section"] = configured(runs[0].settings)
    named = ", ".join(
        f"{'' if name == 'section' else name.replace('_', ' ')} {value}".strip()
        for name, value in shared.items()
        if value is not None
    )
    complete = [run for one in groups for run in one.runs]
    seconds = sum(run.result["seconds"] for run in complete if run.result is not None)
    tested = sorted({run.result["test_sequences"] for run in complete if run.result is not None})
    return [
        Heading(TITLE, 1),
        Paragraph(
            f"{len(complete)} complete runs of {len(runs)}, in {len(groups)} groups of the same settings "
            f"but for the seed. All have: {named}. Their training took {duration(seconds)} in all, the sum "
            f"over the runs, by {_versions(complete)}.{_time_taken(found)}"
        ),
        Paragraph(
            f"Bounds: {_bounds(groups)}. All can be right. Accuracies are those of the last epoch's network "
            f"on the test set, of which whole batches are read: {' or '.join(map(str, tested))} sequences. "
            "Energies are those of all neurons together without the readout, means over "
            "these sequences, in arbitrary units (a.u.): activations count as voltages, "
            "synapses as conductances. ± is the standard deviation over seeds."
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


def _bounds(groups: Sequence[Group]) -> str:
    """What one answers right who has not learned the task, for each number of pairs and digits."""
    tasks = {(one.settings.pairs, one.settings.digits): one.settings.task for one in groups}
    return "; ".join(
        f"with {pairs} {'pair' if pairs == 1 else 'pairs'} of {digits} digits, guessing is right in "
        f"{task.chance:.0%} of the sequences, knowing the digits but not which in {task.digits_known:.0%}"
        for (pairs, digits), task in sorted(tasks.items())
    )


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


def _versions(runs: Sequence[RunResult]) -> str:
    """What the runs were made by, each version once."""
    versions = [one for run in runs for one in run.versions]
    names = dict.fromkeys(name for one in versions for name in one)
    return ", ".join(
        f"{name} {' and '.join(dict.fromkeys(one[name] for one in versions if name in one))}"
        for name in names
    )


def _draw(drawing: Drawing, groups: Sequence[Group], output: Path) -> Figure:
    name, draw, caption = drawing
    draw(groups, output / "figures" / name)
    return Figure(f"figures/{name}", caption)


def _signed(groups: Sequence[Group], output: Path) -> list[Part]:
    """On networks of excitatory and inhibitory neurons."""
    if not groups:
        return []
    columns = ["", "synapses", "F at the end", "|F| at the end", "Λ", "Γ"]
    rows = [
        [one.title, synapses]
        + [
            with_spread(
                [_at_the_end(value) for value in one.synapses(name, synapses)], lambda value: f"{value:.3g}"
            )
            for name in ("F", "|F|", "Λ", "Γ")
        ]
        for one in groups
        for synapses in ("E→E", "E→I")
    ]
    return [
        Heading("Excitatory and inhibitory neurons"),
        Paragraph(
            "The first 4/5 of the neurons excite (E), the others inhibit (I). With rows the sign is that of "
            "the receiving neuron's weights, with columns of what a neuron sends to the neurons. Means over "
            "the synapses, and of F and |F| over the test sequences too; ± is the standard deviation over "
            "seeds."
        ),
        Table(columns, rows),
        _draw(_SHORT_TERM, groups, output),
        *(image for place, one in enumerate(groups) for image in _images(one, place, output)),
    ]


def _at_the_end(value: float | Sequence[float]) -> float:
    return value[-1] if isinstance(value, Sequence) else value


def _images(one: Group, place: int, output: Path) -> list[Part]:
    """Of the first of a group's runs that still has its synapses."""
    for run in one.runs:
        if run.images is not None:
            name = f"synapses-{place + 1}.svg"
            draw_synapses(one.title, run.images, output / "figures" / name)
            caption = (
                f"F after the last step, a mean over the test sequences, Λ and Γ of {run.folder_from(output)}"
            )
            return [Figure(f"figures/{name}", caption)]
    return []


def _by_run(found: Found, output: Path) -> list[Part]:
    rows = []
    for run in found.runs:
        name = [run.folder_from(output), run.settings.model, str(run.settings.seed)]
        if run.result is None:
            rows.append([*name, f"{len(run.history)} of {run.settings.epochs}", "not complete", "", ""])
        else:
            result = run.result
            accuracy, energy = f"{100 * result['test_accuracy']:.3f}", f"{result['test_energy']:.2f}"
            rows.append([*name, str(result["epochs"]), accuracy, energy, f"{result['seconds']:.0f}"])
    columns = ["folder", "model", "seed", "epochs", "test accuracy (%)", "energy", "seconds"]
    left_out = [Paragraph(f"Left out: {error}.") for error in found.damaged]
    return [Heading("Every run"), Table(columns, rows), *left_out]


def _time_taken(found: Found) -> str:
    sittings = [sitting for _, one in found.comparisons for sitting in one]
    seconds = sum(sitting["seconds"] for sitting in sittings)
    return f" The comparisons took {duration(seconds)} in all." if sittings else ""


def _by_comparison(found: Found, output: Path) -> list[Part]:
    """When each ran, a row for each time that it was started."""
    rows = [
        [
            os.path.relpath(folder, output),
            one["begun"],
            one["ended"],
            *(str(one["jobs"]), str(one["threads"]), str(one["processors"]), duration(one["seconds"])),
        ]
        for folder, sittings in found.comparisons
        for one in sittings
    ]
    columns = ["folder", "begun", "ended", "runs at a time", "threads of each", "processors", "time"]
    return [Heading("Every comparison"), Table(columns, rows)] if rows else []
