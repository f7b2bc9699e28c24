"""The results in docs/results: each page is what `stpn report` makes of the runs beside it."""

import re
import shutil
from pathlib import Path

import matplotlib
import pytest
from stpn_swift.experiments import cli

RESULTS = sorted(path.parent for path in Path(__file__).resolve().parents[2].glob("docs/results/*/report.md"))


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_a_page_is_the_report_on_its_runs(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, the figures where this matplotlib has drawn them: another may draw them otherwise."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(results / "runs", "runs")
    assert cli.main(["report", "runs", "--output", "."]) == 0
    figures = {f"figures/{path.name}" for path in (results / "figures").iterdir()}
    assert figures == {f"figures/{path.name}" for path in Path("figures").iterdir()}
    for name in ("report.md", "report.html", *figures):
        theirs = (results / name).read_text()
        drawn_by = re.search(r"Matplotlib v([\d.]+)", theirs)
        if drawn_by is None or drawn_by[1] == matplotlib.__version__:
            assert Path(name).read_text() == theirs, name


def test_there_are_results() -> None:
    assert {path.name for path in RESULTS} == {"retrieval", "excitatory-inhibitory", "pairs"}


def test_every_seed_of_stpnr_learns_the_task() -> None:
    page = next(path for path in RESULTS if path.name == "retrieval") / "report.md"
    rows = [line.split("|") for line in page.read_text().splitlines() if "/stpnr/seed-" in line]
    assert len(rows) == 3 and all(float(row[5]) >= 99.8 for row in rows)
