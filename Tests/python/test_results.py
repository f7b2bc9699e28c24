"""The results in docs/results: each page is what `stpn report` makes of the runs beside it."""

import re
from pathlib import Path

import pytest
from stpn_swift.experiments import cli

RESULTS = sorted(path.parent for path in Path(__file__).resolve().parents[2].glob("docs/results/*/report.md"))


@pytest.mark.parametrize("results", RESULTS, ids=lambda path: path.name)
def test_a_page_is_the_report_on_its_runs(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", str(results / "runs"), "--output", "again"]) == 0
    ours, theirs = (
        re.sub(r"[./\w-]*/runs/", "runs/", (folder / "report.md").read_text())
        for folder in (Path("again"), results)
    )
    assert ours == theirs
    names = {path.name for path in (results / "figures").iterdir()}
    assert names == {path.name for path in Path("again/figures").iterdir()}


def test_there_are_results() -> None:
    assert {path.name for path in RESULTS} == {"retrieval", "excitatory-inhibitory", "pairs"}


def test_every_seed_of_stpnr_learns_the_task() -> None:
    page = next(path for path in RESULTS if path.name == "retrieval") / "report.md"
    rows = [line.split("|") for line in page.read_text().splitlines() if "/stpnr/seed-" in line]
    assert len(rows) == 3 and all(float(row[5]) >= 99.8 for row in rows)
