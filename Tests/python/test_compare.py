"""Comparisons: many runs, of which some are done, some fail and some are killed."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_run import EPOCHS, OPTIONS, SETTINGS
from stpn_swift.experiments import cli
from stpn_swift.experiments.compare import PlannedRun, plan, read_models, read_seeds, seconds_left
from stpn_swift.experiments.console import duration
from stpn_swift.experiments.errors import ExperimentError
from stpn_swift.experiments.models import MODEL_NAMES
from stpn_swift.experiments.settings import TrainingSettings

MODELS = ("stpnr", "stpnf")
ARGUMENTS = ["compare", "retrieval", "--models", *MODELS, *OPTIONS, "--output", "runs", "--seeds"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def results() -> dict[str, tuple[float, int]]:
    """Of the runs that are complete: their accuracy, and when they ended."""
    return {
        str(path.parent.relative_to("runs")): (
            json.loads(path.read_text())["test_accuracy"],
            path.stat().st_mtime_ns,
        )
        for path in Path("runs").rglob("result.json")
    }


def test_a_comparison_skips_what_is_done_and_survives_a_failing_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main([*ARGUMENTS, "0", "--jobs", "2"]) == 0
    first = results()
    assert first.keys() == {"stpnr/seed-0", "stpnf/seed-0"}
    assert Path("runs/stpnr/seed-0/log.txt").read_text().count("validation") == EPOCHS
    out = capsys.readouterr().out
    assert "2 runs, of which 0 are done; 2 at a time" in out
    assert "2/2  stp" in out and "seed 0: test accuracy " in out

    Path("runs/stpnr/seed-1").mkdir(parents=True)
    Path("runs/stpnr/seed-1/checkpoint.safetensors").write_bytes(b"damaged")
    Path("runs/stpnr/seed-1/config.json").write_bytes(Path("runs/stpnr/seed-0/config.json").read_bytes())
    assert cli.main([*ARGUMENTS, "0..1"]) == 1
    shown = capsys.readouterr()
    assert "4 runs, of which 2 are done" in shown.out and "1 of 4 runs failed: stpnr seed 1" in shown.err
    assert "--seed 1 contradicts the run, which has 0" in shown.err
    second = results()
    assert second.keys() == {*first, "stpnf/seed-1"}
    assert {name: second[name] for name in first} == first


def test_a_run_that_fails_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*ARGUMENTS, "0"]) == 0
    for path in Path("runs/stpnr/seed-0").glob("result.json"):
        path.unlink()
    Path("runs/stpnr/seed-0/checkpoint.safetensors").write_bytes(b"damaged")
    capsys.readouterr()
    assert cli.main([*ARGUMENTS, "0"]) == 1
    assert (
        "stpnr seed 0: failed: error: the checkpoint runs/stpnr/seed-0/checkpoint" in capsys.readouterr().out
    )


@pytest.mark.parametrize("process", ["fails", "ends"])
def test_a_run_whose_folder_is_removed_fails_alone(
    process: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    start = PlannedRun.start

    def start_without(run: PlannedRun, threads: int) -> None:
        if run.settings.model == "stpnf" or process == "fails":
            start(run, threads)
        if run.settings.model == "stpnr":
            if process == "ends":
                run._process = subprocess.Popen(["true"])
                run.state = "running"
            shutil.rmtree(run.folder.path, ignore_errors=True)

    monkeypatch.setattr(PlannedRun, "start", start_without)
    assert cli.main([*ARGUMENTS, "0"]) == 1
    shown = capsys.readouterr()
    assert "1/2  stpnr seed 0: failed: " in shown.out and "2/2  stpnf seed 0: test accuracy" in shown.out


def test_other_settings_than_those_of_the_runs_are_no_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*ARGUMENTS, "0"]) == 0
    before = results()
    assert cli.main([*ARGUMENTS, "0", "--epochs", "4"]) == 1
    assert capsys.readouterr().err.count("--epochs 4 contradicts the run, which has 3") == 2
    assert results() == before


def test_killed_and_started_again_it_ends_with_the_same_results(capsys: pytest.CaptureFixture[str]) -> None:
    """The processes of its runs are killed with it, in the midst of their work."""
    command = [sys.executable, "-m", "stpn_swift", *ARGUMENTS, "0..1", "--epochs", "60"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = Path("runs/stpnr/seed-0")
    deadline = time.monotonic() + 60
    while not (folder / "metrics.csv").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    assert len(results()) < 4
    with open(folder / "log.txt") as log:
        assert "interrupted in epoch" in log.read() or "stpnr/seed-0" in results()

    assert cli.main([*ARGUMENTS, "0..1", "--epochs", "60", "--jobs", "2"]) == 0
    resumed = {name: accuracy for name, (accuracy, _) in results().items()}
    assert len(resumed) == 4
    fresh = ["train", "retrieval", *OPTIONS, "--epochs", "60", "--model", "stpnr", "--seed", "0"]
    assert cli.main([*fresh, "--output", "fresh"]) == 0
    rows, of_fresh = (
        [line.split(",")[:-1] for line in (at / "metrics.csv").read_text().splitlines()]
        for at in (folder, Path("fresh"))
    )
    assert rows == of_fresh


def test_the_error_of_a_run_is_its_own() -> None:
    (run,) = plan(TrainingSettings(**SETTINGS), ("stpnr",), (0,), Path("runs"))
    run.folder.path.mkdir(parents=True)
    run.log.write_text("error: of a comparison before\n")
    run.folder.config.write_text("{}")
    run.start(threads=1)
    assert run._process is not None and run._process.wait() == 1
    with open(run.log, "a") as log:
        log.write("epoch 20/20 of a process that another comparison began\n")
    assert run.poll()
    assert run.state == "failed" and run.error.startswith(f"error: {run.folder.config} is not")


def test_two_processes_do_not_train_in_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    run = plan(TrainingSettings(**SETTINGS), ["stpnr"], [0], Path("runs"))[0]
    with run.folder.locked():
        assert cli.main(["train", "retrieval", *OPTIONS, "--output", str(run.folder.path)]) == 1
        assert "is in use: another process trains there" in capsys.readouterr().err
    assert cli.main(["train", "retrieval", *OPTIONS, "--output", str(run.folder.path)]) == 0


# what it shows


def planned(*done: int) -> list[PlannedRun]:
    runs = plan(TrainingSettings(epochs=10), ["stpnr", "lstm"], [0, 1], Path("runs"))
    for run, epochs in zip(runs, done, strict=False):
        run.epochs_done = epochs
    return runs


def test_the_time_left_is_by_model() -> None:
    runs = planned()
    assert seconds_left(runs, 1) is None
    runs[0].epochs_done, runs[0].seconds_done = 5, 10.0  # 2 s an epoch, also for those nobody has seen
    assert seconds_left(runs, 1) == 2 * (5 + 10 + 10 + 10)
    runs[1].epochs_done, runs[1].seconds_done = 1, 4.0
    assert seconds_left(runs, 2) == (2 * 15 + 4 * 19) / 2
    assert seconds_left(runs, 100) == 4 * 10  # no sooner than the longest of them
    runs[2].state = runs[3].state = "failed"
    assert seconds_left(runs, 1) == 2 * 5 + 4 * 9


def test_durations() -> None:
    assert [duration(seconds) for seconds in (6.6, 200, 3900)] == ["7 s", "3 min 20 s", "1 h 05 min"]


def test_seeds() -> None:
    assert read_seeds("0..4") == (0, 1, 2, 3, 4)
    assert read_seeds("7, 2,2..3") == (7, 2, 3)
    for wrong in ("", "a", "1..", "-1", "3..1", "1.5"):
        with pytest.raises(ExperimentError, match="--seeds: expected"):
            read_seeds(wrong)


def test_models() -> None:
    assert read_models(["all"]) == MODEL_NAMES
    assert read_models(["lstm", "stpnr", "lstm"]) == ("lstm", "stpnr")


def test_runs_of_the_first_seed_come_first() -> None:
    assert [run.name for run in planned()] == ["stpnr seed 0", "lstm seed 0", "stpnr seed 1", "lstm seed 1"]
