"""Comparisons: many runs, of which some are done, some fail and some are killed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from small_run import EPOCHS, OPTIONS, SETTINGS
from stpn_swift import files
from stpn_swift.experiments import cli
from stpn_swift.experiments.compare import PlannedRun, plan, read_models, read_seeds, seconds_left
from stpn_swift.experiments.comparison import read_sittings
from stpn_swift.experiments.console import duration
from stpn_swift.experiments.errors import ExperimentError
from stpn_swift.experiments.models import MODEL_NAMES
from stpn_swift.experiments.run_folder import RunFolder
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

    def start_without(run: PlannedRun, options: Sequence[str]) -> None:
        if run.settings.model == "stpnf" or process == "fails":
            start(run, options)
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


def test_a_run_of_other_settings_says_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    folder = ["--output", "runs/stpnr/seed-0"]
    assert cli.main(["train", "retrieval", *OPTIONS, "--lr", "0.5", *folder]) == 0
    assert cli.main([*ARGUMENTS, "0", "--models", "stpnr"]) == 1
    err = capsys.readouterr().err
    assert "--lr 0.01 contradicts the run, which has 0.5: go on with what it has, or start another run" in err


@pytest.mark.parametrize(
    ("file", "content"),
    [("metrics.csv", ""), ("metrics.csv", "epoch,loss\n1,x\n"), ("result.json", "[" * 100_000)],
)
def test_what_a_run_can_make_again_is_made_again(file: str, content: str) -> None:
    assert cli.main(["train", "retrieval", *OPTIONS, "--output", "runs/stpnr/seed-0"]) == 0
    path = Path("runs/stpnr/seed-0", file)
    before = path.read_text()
    path.write_text(content)
    assert cli.main([*ARGUMENTS, "0", "--models", "stpnr"]) == 0
    assert len(path.read_text()) == pytest.approx(len(before), abs=20)  # but for seconds and memory


@pytest.fixture
def options_of_runs(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Those of the runs that are started."""
    options: list[Sequence[str]] = []
    start = PlannedRun.start

    def start_and_tell(run: PlannedRun, given: Sequence[str]) -> None:
        options.append(given)
        start(run, given)

    monkeypatch.setattr(PlannedRun, "start", start_and_tell)
    return options


def test_its_runs_have_the_options_that_are_no_settings(options_of_runs: list[Sequence[str]]) -> None:
    pytest.importorskip("tensorboardX")
    assert cli.main([*ARGUMENTS, "0", "--models", "stpnr", "--threads", "3", "--tensorboard"]) == 0
    assert options_of_runs == [["--threads", "3", "--tensorboard"]]
    assert [*Path("runs/stpnr/seed-0/tensorboard").iterdir()]


def test_its_runs_share_the_processors_that_it_may_use(
    options_of_runs: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("processes are bound to no processors here")
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3, 4})
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    assert cli.main([*ARGUMENTS, "0", "--models", "stpnr", "--jobs", "2"]) == 0
    assert options_of_runs == [["--threads", "2"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models"], "--models: expected all, or some of stpnr"),
        (["--threads", "0"], "--threads must be 1 or more, not 0"),
        (["--jobs", "0"], "--jobs must be 1 or more, not 0"),
        (["--seeds", "0..99999999999"], "--seeds: expected 10000 seeds at most, got '0..99999999999'"),
    ],
)
def test_what_is_no_comparison(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["compare", "retrieval", *OPTIONS, *arguments]) == 1
    assert message in capsys.readouterr().err and not Path("runs").exists()


def test_a_disk_too_full_for_a_word_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (run,) = plan(TrainingSettings(**SETTINGS), ("stpnr",), (0,), Path("runs"))
    run.folder.path.mkdir(parents=True)
    run.log.touch()
    run._process = subprocess.Popen(["false"])
    run._process.wait()

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert run.poll()
    assert run.error == "[Errno 28] No space left on device: 'runs/stpnr/seed-0/log.txt'"


def test_comparisons_say_how_long_they_took(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*ARGUMENTS, "0", "--jobs", "2"]) == 0
    record = Path("runs/comparison.json")
    (first,) = read_sittings(record)
    assert first["jobs"] == 2 and 0.3 < first["seconds"] < 60 and first["begun"] <= first["ended"]
    assert cli.main([*ARGUMENTS, "0"]) == 0  # which has nothing to do
    assert read_sittings(record) == [first]
    assert cli.main([*ARGUMENTS, "0..1", "--models", "stpnr"]) == 0
    _, second = both = read_sittings(record)
    assert both == [first, second] and second["jobs"] == 1

    files.write_json(record, {"sittings": [first, {**second, "seconds": 3725.0 - first["seconds"]}]})
    assert cli.main(["report", "runs"]) == 0
    page = Path("report/report.md").read_text()
    assert "The comparisons took 1 h 02 min in all." in page
    row = f"| ../runs | {first['begun']} | {first['ended']} | 2 | {first['threads']} |"
    assert row in page and "## Every comparison" in page

    record.write_text('{"sittings": [{"begun": 3}]}')
    capsys.readouterr()
    assert cli.main([*ARGUMENTS, "0..1"]) == 1
    assert "runs/comparison.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_its_runs_stop_with_it(number: signal.Signals) -> None:
    """And save what they have done, however it ends."""
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("these tests run under nohup, and what they start does")
    command = [sys.executable, "-m", "stpn_swift", *ARGUMENTS, "0", "--jobs", "2", "--epochs", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folders = [RunFolder(Path("runs", model, "seed-0")) for model in MODELS]
    deadline = time.monotonic() + 60

    def wait_until(condition: Callable[[RunFolder], bool]) -> None:
        while not all(condition(folder) for folder in folders):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    wait_until(lambda folder: folder.metrics.exists() and len(folder.read_metrics()) > 0)
    process.send_signal(number)
    assert process.wait(timeout=60) == (130 if number != signal.SIGKILL else -signal.SIGKILL)
    wait_until(lambda folder: "interrupted in epoch" in folder.log.read_text())
    wait_until(is_free)
    assert len(read_sittings(Path("runs/comparison.json"))) == 1


def is_free(folder: RunFolder) -> bool:
    try:
        with folder.locked():
            return True
    except ExperimentError:
        return False


def test_interrupted_and_started_again_it_ends_with_the_same_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
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
    run.start(["--threads", "1"])
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
