"""Reports: their numbers are those of the runs, and each says which."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from small_run import OPTIONS
from stpn_swift.experiments import cli
from stpn_swift.experiments.document import Figure, Heading, Paragraph, Part, Table, markdown
from stpn_swift.experiments.errors import ExperimentError
from stpn_swift.experiments.figure import draw_accuracy, draw_accuracy_by_pairs, draw_short_term, style
from stpn_swift.experiments.models import MODELS
from stpn_swift.experiments.results import Group, find_runs, group
from stpn_swift.experiments.retrieval_data import RetrievalTask


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """STPNR with two seeds, STPNF with one, and a run that is not complete."""
    folder = tmp_path_factory.mktemp("runs")
    for model, seed in (("stpnr", 0), ("stpnr", 1), ("stpnf", 0), ("hebbff", 0)):
        output = ["--output", str(folder / model / f"seed-{seed}")]
        assert cli.main(["train", "retrieval", *OPTIONS, "--model", model, "--seed", str(seed), *output]) == 0
    (folder / "hebbff" / "seed-0" / "result.json").unlink()
    return folder


def result(folder: Path, name: str) -> float:
    return float(json.loads((folder / "result.json").read_text())[name])


def test_a_report(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "report"
    assert cli.main(["report", str(runs), "--output", str(output)]) == 0
    assert capsys.readouterr().out.split() == [str(output / "report.md"), str(output / "report.html")]

    page = (output / "report.md").read_text()
    assert "3 complete runs of 4, in 2 groups" in page and "10%" in page and "43%" in page
    accuracy = [100 * result(runs / "stpnr" / f"seed-{seed}", "test_accuracy") for seed in (0, 1)]
    energy = [result(runs / "stpnr" / f"seed-{seed}", "test_energy") for seed in (0, 1)]
    row = next(line for line in page.splitlines() if line.startswith("| STPNR"))
    assert (
        f"| {mean(accuracy):.2f} ± {stdev(accuracy):.2f} | {min(accuracy):.2f} | {max(accuracy):.2f} |" in row
    )
    assert f"| {mean(energy):.1f} ± {stdev(energy):.1f} |" in row
    assert page.count("not complete") == 1
    assert "of which whole batches are read: 32 sequences" in page

    for line in (line for line in page.splitlines() if "seed-" in line and "not complete" not in line):
        where, _, _, epochs, found, used, _ = (cell.strip() for cell in line.strip("| ").split("|"))
        folder = output / where
        assert epochs == "3"
        assert found == f"{100 * result(folder, 'test_accuracy'):.3f}"
        assert used == f"{result(folder, 'test_energy'):.2f}"

    html = (output / "report.html").read_text()
    assert row.split("|")[1].strip() in html and html.count("<table>") == 2
    figures = sorted((output / "figures").iterdir())
    assert len(figures) == 4
    drawn = {figure: figure.read_bytes() for figure in figures}
    assert cli.main(["report", str(runs), "--output", str(output)]) == 0
    assert {figure: figure.read_bytes() for figure in figures} == drawn
    for figure in figures:
        assert figure.read_text().startswith("<?xml") and f"figures/{figure.name}" in page + html


def test_a_report_on_harder_tasks(runs: Path, tmp_path: Path) -> None:
    accuracy = {}
    for pairs in (1, 5):
        folder = tmp_path / "runs" / str(pairs)
        assert cli.main(["train", "retrieval", *OPTIONS, "--pairs", str(pairs), "--output", str(folder)]) == 0
        accuracy[pairs] = 100 * result(folder, "test_accuracy")
    assert cli.main(["report", str(tmp_path / "runs"), "--output", str(tmp_path)]) == 0
    page = (tmp_path / "report.md").read_text()
    for pairs in (1, 5):
        assert f"| STPNR, pairs {pairs} | 5 |" in page and f"{accuracy[pairs]:.2f}" in page
    assert "with 1 pair of 10 digits, guessing is right in 10%" in page and "which in 100%" in page
    assert (tmp_path / "figures" / "accuracy-by-pairs.svg").exists()
    assert not (tmp_path / "figures" / "short-term.svg").exists()


def test_groups_are_named_by_what_differs(runs: Path) -> None:
    groups = group(find_runs([runs]).runs)
    assert [(one.title, len(one.runs)) for one in groups] == [("STPNR", 2), ("STPNF", 1)]


def test_no_two_groups_have_one_name(runs: Path) -> None:
    first = find_runs([runs]).runs[0]
    stp = MODELS["stpnr"].section["rnn_args"]["stp"]
    rates = {"weight_lambda": {"mean": 0.5, "spread": 0.25}}
    sections: list[dict[str, Any]] = [
        {},
        {"plastic_bias": False},  # which says the same
        {"plastic_weight_clamp_val": 0.5},
        {"plastic_weight_clamp_val": 0.5, "plasticity_rule": "oja"},
        {"plastic_weights_init_config": rates},
    ]
    others = [replace(first.settings, backend="torch")] + [
        replace(first.settings, section={**MODELS["stpnr"].section, "rnn_args": {"stp": {**stp, **changes}}})
        for changes in sections
    ]
    groups = group([first, *(replace(first, settings=settings) for settings in others)])
    assert [one.title for one in groups] == [
        "STPNR",
        "STPNR, backend torch",
        "STPNR, as configured (1)",
        "STPNR, as configured (2)",
        "STPNR, clamp 0.5",
        "STPNR, rule oja, clamp 0.5",
        "STPNR, initial weight_lambda from 0.25 to 0.75",
    ]


def test_what_all_have_is_said_in_words(runs: Path, tmp_path: Path) -> None:
    config = json.loads((runs / "stpnr/seed-0/config.json").read_text())
    stp = {**MODELS["stpnr"].section["rnn_args"]["stp"], "plastic_weight_clamp_val": 0.5}
    config["settings"]["section"] = {**MODELS["stpnr"].section, "rnn_args": {"stp": stp}}
    shutil.copytree(runs / "stpnr/seed-0", tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert cli.main(["report", str(tmp_path / "run"), "--output", str(tmp_path)]) == 0
    page = (tmp_path / "report.md").read_text()
    assert "All have: model stpnr, clamp 0.5, pairs 3" in page
    assert "{" not in page and "recurrent" not in page


def test_one_seed_is_not_counted_twice(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):
        shutil.copytree(runs / "stpnr/seed-0", tmp_path / name)
    assert cli.main(["report", str(tmp_path), "--output", str(tmp_path / "report")]) == 1
    one, two = tmp_path / "one", tmp_path / "two"
    assert f"{one} and {two} are runs of the same settings and seed" in capsys.readouterr().err
    assert cli.main(["report", str(one), str(one), "--output", str(tmp_path / "report")]) == 0


def test_groups_can_be_told_apart_without_colours() -> None:
    styles = [style(place) for place in range(45)]
    for one, other in itertools.combinations(styles, 2):
        assert sum(ours == theirs for ours, theirs in zip(one, other, strict=True)) <= 1
    assert len({marker for _, _, marker in styles[:9]}) == 9


def test_error_bars_of_synapses_stand_beside_each_other(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_runs([runs]).runs[0]
    courses = {"E→E": [0.0] * 9, "E→I": [1.0] * 9}
    result: Any = {**(first.result or {}), "synapses": {"F": courses, "|F|": courses}}
    groups = [Group(str(place), first.settings, [replace(first, result=result)]) for place in range(12)]
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("stpn_swift.experiments.figure._save", lambda figure, path: drawn.update(it=figure))
    draw_short_term(groups, tmp_path / "figure.svg")
    for axes in drawn["it"].axes:
        lines = [bars.lines[0] for bars in axes.containers]
        assert len({float(line.get_xdata()[0]) for line in lines}) == 24
        looks = [(line.get_color(), line.get_marker()) for line in lines[::2]]
        assert looks == [(colour, marker) for colour, _, marker in map(style, range(12))]


def test_bounds_are_those_of_the_digits(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = find_runs([runs]).runs[0]
    settings = [replace(first.settings, pairs=pairs, digits=digits) for pairs in (2, 3) for digits in (4, 10)]
    drawn: dict[str, Any] = {}
    monkeypatch.setattr("stpn_swift.experiments.figure._save", lambda figure, path: drawn.update(it=figure))
    draw_accuracy_by_pairs(group([replace(first, settings=one) for one in settings]), tmp_path / "figure.svg")
    (axes,) = drawn["it"].axes
    lines = {bars.get_label(): [*bars.lines[0].get_ydata()] for bars in axes.containers}
    for digits in (4, 10):
        tasks = [RetrievalTask(pairs=pairs, digits=digits) for pairs in (2, 3)]
        assert lines[f"chance, {digits} digits"] == [100 / digits] * 2
        known = f"the digits known, but not\nwhich, {digits} digits"
        assert lines[known] == [100 * task.digits_known for task in tasks]


def test_names_are_shown_as_they_are() -> None:
    name = "<b>x|y</b>\n[a](b) `c` *d* __e__ f_g \\|"
    shown = r"\<b\>x\|y\</b\> \[a\](b) \`c\` \*d\* \_\_e\_\_ f_g \\\|"
    parts: list[Part] = [
        Heading(name),
        Paragraph(name),
        Figure("figures/a.svg", name),
        Table([name, "b"], [["c", name]]),
    ]
    heading, paragraph, figure, *table = markdown(parts).split("\n\n")
    assert heading == f"## {shown}" and paragraph.strip() == shown
    assert figure.strip() == f"![{shown}](figures/a.svg)"
    assert table[0].strip() == shown
    assert table[1].splitlines() == [f"| {shown} | b |", "| --- | ---: |", f"| c | {shown} |"]


def test_runs_behind_links_are_found_once(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "stpnr").symlink_to(runs / "stpnr")
    (tmp_path / "again").symlink_to(runs / "stpnr" / "seed-0")
    (tmp_path / "models" / "loop").symlink_to(tmp_path)
    found = find_runs([tmp_path])
    assert [run.settings.seed for run in found.runs] == [0, 1] and found.damaged == []


DAMAGED: dict[str, list[Any]] = {
    "config.json": [
        "",
        "[]",
        "{}",
        "[" * 100_000,
        '{"settings": {"momentum": 1}}',
        '{"settings": {"lr": 0}}',
    ],
    "versions": [["0.1"], {"numpy": 2}, None],
    "metrics.csv": ["", "epoch,loss\n1,x\n", "epoch\n1\n2\n3\n"],
    "result.json": ["", "[]", '{"epochs": 3}', "[" * 100_000],
    "test_accuracy": ["1", None, True, float("nan"), []],
    "test_energy_by_step": [[1.0], 3, ["1"] * 9],
    "parameters": [1.5],
}


@pytest.mark.parametrize(("where", "what"), [(key, one) for key, all in DAMAGED.items() for one in all])
def test_a_damaged_run_is_named_and_left_out(
    where: str, what: Any, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(runs / "stpnf/seed-0", folder)
    file = where if "." in where else "config.json" if where == "versions" else "result.json"
    if where == file:
        (folder / file).write_text(what)
    else:
        (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | {where: what}))
    found = find_runs([tmp_path, runs / "stpnr"])
    assert [run.settings.model for run in found.runs] == ["stpnr", "stpnr"]
    (error,) = found.damaged
    assert error.startswith(str(folder / file)) and len(error) < 500


def test_a_report_without_a_damaged_run(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "stpnr/seed-0", tmp_path / "damaged")
    (tmp_path / "damaged" / "result.json").write_text("")
    assert cli.main(["report", str(runs), str(tmp_path), "--output", str(tmp_path / "report")]) == 1
    page = (tmp_path / "report" / "report.md").read_text()
    shown = capsys.readouterr()
    error = f"{tmp_path}/damaged/result.json is damaged: "
    assert f"left out: {error}" in shown.err and "report.html" in shown.out
    assert f"\nLeft out: {error}" in page and "3 complete runs of 4" in page


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_format_of_a_figure_is_its_suffix(suffix: str, magic: bytes, runs: Path, tmp_path: Path) -> None:
    output = (tmp_path / "figure").with_suffix(suffix)
    draw_accuracy(group(find_runs([runs]).runs), output)
    assert output.read_bytes().startswith(magic)


def test_what_cannot_be_reported(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups: list[Group] = group(find_runs([runs / "stpnf"]).runs)
    with pytest.raises(ExperimentError, match=r"figure\.tree"):
        draw_accuracy(groups, tmp_path / "figure.tree")
    assert not (tmp_path / "figure.tree").exists()

    for where, message in ((tmp_path, "holds no run"), (runs / "hebbff", "none of the runs is complete")):
        assert cli.main(["report", str(where), "--output", str(tmp_path / "report")]) == 1
        assert message in capsys.readouterr().err
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((runs / "stpnf/seed-0/config.json").read_bytes())
    (broken / "metrics.csv").write_text("epoch,loss\n1,x\n")
    assert cli.main(["report", str(broken), "--output", str(tmp_path / "report")]) == 1
    assert "broken/metrics.csv is not the metrics of a run" in capsys.readouterr().err

    (broken / "metrics.csv").write_bytes((runs / "stpnf/seed-0/metrics.csv").read_bytes())
    (broken / "result.json").write_text('{"epochs": 3}')
    assert cli.main(["report", str(broken), "--output", str(tmp_path / "report")]) == 1
    assert "broken/result.json is damaged: no test_sequences" in capsys.readouterr().err
    assert cli.main(["report", "--output", str(tmp_path / "report")]) == 1
    assert "expected runs" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
