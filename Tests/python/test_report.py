"""Reports: their numbers are those of the runs, and each says which."""

import json
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

import pytest
from small_run import OPTIONS
from stpn_swift.experiments import cli
from stpn_swift.experiments.errors import ExperimentError
from stpn_swift.experiments.figure import draw_accuracy, style
from stpn_swift.experiments.models import MODELS
from stpn_swift.experiments.results import Group, find_runs, group


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
    groups = group(find_runs([runs]))
    assert [(one.title, len(one.runs)) for one in groups] == [("STPNR", 2), ("STPNF", 1)]


def test_no_two_groups_have_one_name(runs: Path) -> None:
    first = find_runs([runs])[0]
    section = MODELS["stpnr"].section
    others = [replace(first.settings, backend="torch"), replace(first.settings, section=section)]
    groups = group([first, *(replace(first, settings=settings) for settings in others)])
    assert [one.title for one in groups] == ["STPNR", "STPNR, backend torch", "STPNR, as configured"]


def test_forty_groups_can_be_told_apart() -> None:
    assert len({style(place) for place in range(40)}) == 40


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_format_of_a_figure_is_its_suffix(suffix: str, magic: bytes, runs: Path, tmp_path: Path) -> None:
    output = (tmp_path / "figure").with_suffix(suffix)
    draw_accuracy(group(find_runs([runs])), output)
    assert output.read_bytes().startswith(magic)


def test_what_cannot_be_reported(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups: list[Group] = group(find_runs([runs / "stpnf"]))
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
    assert "broken/result.json is damaged: no parameters" in capsys.readouterr().err
    assert cli.main(["report", "--output", str(tmp_path / "report")]) == 1
    assert "expected runs" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
