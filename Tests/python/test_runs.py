"""Runs: one that stops, however it does, goes on to the same bits and loses nothing."""

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_run import BATCHES, EPOCHS, OPTIONS, SETTINGS
from stpn_swift import STPNR, checkpoint, files, show_config
from stpn_swift.experiments import cli
from stpn_swift.experiments import run as run_module
from stpn_swift.experiments.adam import Adam
from stpn_swift.experiments.interrupts import Interrupts
from stpn_swift.experiments.network import KernelClassifier
from stpn_swift.experiments.run import evaluate_run
from stpn_swift.experiments.run_folder import FORMAT, RunFolder
from stpn_swift.experiments.settings import RetrievalSettings
from stpn_swift.experiments.training import Evaluation, Progress

Array = NDArray[Any]
KILLS = Path(__file__).with_name("kills.py")
TRAIN = [sys.executable, "-m", "stpn_swift", "train", "retrieval"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> int:
    return stpn(*OPTIONS, *arguments)


def stpn(*arguments: str) -> int:
    return cli.main(["train", "retrieval", *arguments])


def progress_of(folder: str) -> Progress:
    saved = RunFolder(Path(folder)).load(RunFolder(Path(folder)).read_settings())
    assert saved is not None
    return saved.progress


def outcome(folder: str) -> tuple[dict[str, bytes], list[list[str]], Any]:
    """What must not depend on interruptions: all arrays, the metrics without the seconds, the result."""
    arrays, _ = checkpoint.load(Path(folder, "checkpoint.safetensors"), FORMAT)
    with open(Path(folder, "metrics.csv"), newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][-1] == "seconds"
    result = json.loads(Path(folder, "result.json").read_text())
    for varying in ("seconds", "peak_memory_bytes"):
        assert result.pop(varying) > 0
    return {name: array.tobytes() for name, array in arrays.items()}, [row[:-1] for row in rows], result


def content(folder: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def test_memory_is_that_of_the_run_not_of_what_started_it() -> None:
    ballast = np.ones(2**26)
    subprocess.run([*TRAIN, *OPTIONS, "--output", "run"], check=True, stdout=subprocess.DEVNULL)
    peak = json.loads(Path("run/result.json").read_text())["peak_memory_bytes"]
    assert 2**24 < peak < ballast.nbytes


def test_what_computes_a_run_is_in_its_configuration() -> None:
    assert run("--output", "ours") == 0
    pytest.importorskip("torch")
    assert run("--backend", "torch", "--output", "theirs") == 0
    (ours,), (theirs,) = (RunFolder(Path(name)).read_versions() for name in ("ours", "theirs"))
    kernel = show_config("dicts")["implementation"]
    assert ours.pop("kernel") == kernel and theirs.pop("torch") == version("torch")
    assert ours == theirs and ours["numpy"] == np.__version__


def test_a_run_is_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--seed", "7") == 0
    folder = Path("runs", "retrieval", "stpnr", "seed-7")
    assert sorted(str(path.relative_to(folder)) for path in content(str(folder))) == [
        "checkpoint.safetensors",
        "config.json",
        "figures/accuracy.svg",
        "metrics.csv",
        "result.json",
    ]
    out, err = capsys.readouterr()
    assert err == ""  # no progress bar where there is no terminal
    assert out.count("validation") == EPOCHS and "\r" not in out
    assert "test accuracy" in out
    for name in ("figures/accuracy.svg", "metrics.csv", "checkpoint.safetensors"):
        assert str(folder / name) in out

    config = json.loads((folder / "config.json").read_text())
    assert config["settings"] == RetrievalSettings(**SETTINGS, seed=7).resolve().as_dict()
    assert config["settings"]["backend"] == "kernel"
    assert config["network"]["cell"].items() <= STPNR(37, 5).config.items()
    _, rows, result = outcome(str(folder))
    steps = [f"energy_{step}" for step in range(1, 10)]
    assert rows[0] == ["epoch", "loss", "train_accuracy", "validation_accuracy", "energy", *steps]
    assert [row[0] for row in rows[1:]] == ["1", "2", "3"]
    assert result["test_sequences"] == 32
    assert result["validation_accuracy"] == float(rows[-1][3])
    assert result["test_accuracy"] * 32 == round(result["test_accuracy"] * 32)


def test_the_checkpoint_holds_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--output", "run") == 0
    evaluation, sequences, epochs = evaluate_run(RunFolder(Path("run")))
    result = outcome("run")[2]
    assert (sequences, epochs) == (32, EPOCHS)
    assert evaluation.accuracy == result["test_accuracy"]
    assert [*evaluation.energy_by_step] == result["test_energy_by_step"]
    assert evaluation.energy == result["test_energy"] == pytest.approx(sum(result["test_energy_by_step"]))

    capsys.readouterr()
    assert cli.main(["evaluate", "run"]) == 0
    assert f"test accuracy {evaluation.accuracy:.5f}" in capsys.readouterr().out


def test_the_same_bits_from_run_to_run_and_on_any_number_of_threads() -> None:
    assert run("--output", "one", "--threads", "1") == 0
    assert run("--output", "two", "--threads", "2") == 0
    assert outcome("one") == outcome("two")


def interrupted(folder: str, *arguments: str, at: list[int]) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own that gets a SIGINT during each of these updates, counted from 1."""
    program = f"""
        import signal, sys
        from stpn_swift.experiments import cli
        from stpn_swift.experiments.network import KernelClassifier

        loss, at, calls = KernelClassifier.loss, {at}, 0

        def loss_with_signals(*arguments):
            global calls
            calls += 1
            for _ in range(at.count(calls)):
                signal.raise_signal(signal.SIGINT)
            return loss(*arguments)

        KernelClassifier.loss = loss_with_signals
        sys.exit(cli.main({["train", "retrieval", *arguments, "--output", folder]}))
    """
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False
    )


def test_ctrl_c_saves_in_the_midst_of_an_epoch_and_resume_goes_on_to_the_same_bits() -> None:
    assert run("--output", "whole") == 0

    first = interrupted("stopped", *OPTIONS, at=[BATCHES + 2])
    assert first.returncode == 130
    assert "interrupted in epoch 2 after batch 2 of 6" in first.stderr
    assert "--resume --output stopped" in first.stderr
    assert "Traceback" not in first.stderr
    progress = progress_of("stopped")
    assert (progress.epoch, progress.batch) == (1, 2) and progress.loss_sum > 0
    assert not Path("stopped", "result.json").exists()

    second = interrupted("stopped", "--resume", at=[3])
    assert second.returncode == 130 and "in epoch 2 after batch 5 of 6" in second.stderr
    third = interrupted("stopped", "--resume", at=[1])  # the last batch: the epoch is finished first
    assert third.returncode == 130 and "in epoch 3 after batch 0 of 6" in third.stderr
    assert run("--output", "stopped", "--resume") == 0
    assert outcome("stopped") == outcome("whole")


def test_ctrl_c_in_the_last_batch_changes_nothing() -> None:
    assert run("--output", "whole") == 0
    assert interrupted("stopped", *OPTIONS, at=[EPOCHS * BATCHES]).returncode == 0
    assert outcome("stopped") == outcome("whole")


def test_a_second_ctrl_c_stops_at_once() -> None:
    stopped = interrupted("run", *OPTIONS, at=[BATCHES + 2, BATCHES + 2])
    assert stopped.returncode == 130
    assert "stopped at once" in stopped.stderr and "Traceback" not in stopped.stderr
    progress = progress_of("run")
    assert (progress.epoch, progress.batch) == (1, 0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_from_outside(number: signal.Signals) -> None:
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip("these tests run under nohup, and what they start does")
    process = subprocess.Popen(
        [*TRAIN, *OPTIONS, "--epochs", "1000000", "--output", "run"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (
            Path("run/metrics.csv").exists() and len(Path("run/metrics.csv").read_text().splitlines()) > 1
        ):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "interrupted in epoch" in err
    assert progress_of("run").epoch >= 1


def test_what_comes_twice_where_one_is_meant_asks_once() -> None:
    with Interrupts() as interrupts:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
            signal.raise_signal(number)
        assert interrupts.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_nohup_holds() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGHUP)
            assert not interrupts.requested
    finally:
        signal.signal(signal.SIGHUP, before)


def test_killed_between_checkpoint_and_metrics() -> None:
    assert run("--output", "whole") == 0
    shutil.copytree("whole", "killed")
    metrics = Path("killed/metrics.csv")
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    Path("killed/result.json").unlink()
    assert run("--output", "killed", "--resume") == 0
    assert outcome("killed") == outcome("whole")


def test_a_run_is_not_overwritten_unasked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--output", "run") == 0
    before = content("run")
    assert run("--output", "run", "--seed", "1") == 1
    assert "run holds a run already" in capsys.readouterr().err
    assert content("run") == before

    for name in ("notes.txt", "log.txt", "tensorboard/events"):
        Path("run", name).parent.mkdir(exist_ok=True)
        Path("run", name).write_text("old")
    figure = Path("run/figures/accuracy.svg").read_bytes()
    assert run("--output", "run", "--seed", "1", "--overwrite", "--epochs", "1") == 0
    after = content("run")
    assert after.keys() == {*before, Path("run/notes.txt")}
    assert after[Path("run/figures/accuracy.svg")] != figure
    assert json.loads(Path("run/config.json").read_text())["settings"]["seed"] == 1
    assert len(outcome("run")[1]) == 2


def test_a_run_is_replaced_when_the_new_one_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("--output", "run") == 0
    before = content("run")

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", fail)
    assert run("--output", "run", "--seed", "1", "--overwrite") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert content("run") == before and not Path("run/.new").exists()


@pytest.mark.parametrize(
    ("option", "theirs"), [(("--seed", "1"), "0"), (("--epochs", "2"), "3"), (("--lr", "0.5"), "0.01")]
)
def test_resume_with_other_settings_names_the_setting(
    option: tuple[str, str], theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--output", "run") == 0
    before = content("run")
    assert stpn("--resume", "--output", "run", *option) == 1
    assert f"{option[0]} {option[1]} contradicts the run, which has {theirs}" in capsys.readouterr().err
    assert content("run") == before


def test_resume_needs_no_settings() -> None:
    assert run("--output", "run") == 0
    expected = outcome("run")
    assert stpn("--resume", "--output", "run") == 0
    assert outcome("run") == expected


def test_a_complete_run_says_its_results_again(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--output", "run") == 0
    result = json.loads(Path("run/result.json").read_text())
    files.write_json(Path("run/result.json"), {**result, "peak_memory_bytes": 12345})
    before = content("run")
    said = capsys.readouterr().out.splitlines()[EPOCHS:]
    assert stpn("--resume", "--output", "run") == 0
    assert capsys.readouterr().out.splitlines() == said and said[0].startswith("test accuracy")
    assert content("run") == before


@pytest.mark.parametrize("record", ["result.json", "metrics.csv"])
def test_without_its_checkpoint_the_record_of_a_run_stays(
    record: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--output", "run") == 0
    Path("run/checkpoint.safetensors").unlink()
    if record == "metrics.csv":
        Path("run/result.json").unlink()
    before = content("run")
    assert stpn("--resume", "--output", "run") == 1
    assert f"there is no checkpoint run/checkpoint.safetensors, but run/{record}" in capsys.readouterr().err
    assert content("run") == before


@pytest.mark.parametrize("how", ["finished", "interrupted", "killed between config and checkpoint"])
def test_more_epochs_are_those_of_a_longer_run(how: str) -> None:
    longer = ["--epochs", str(EPOCHS + 2)]
    assert run("--output", "whole", *longer) == 0
    if how == "interrupted":
        assert interrupted("run", *OPTIONS, at=[BATCHES + 2]).returncode == 130
    else:
        assert run("--output", "run") == 0
    if how.startswith("killed"):
        Path("run/result.json").unlink()
        shutil.copy("whole/config.json", "run")
        longer = []
    assert stpn("--resume", "--output", "run", *longer) == 0
    assert outcome("run") == outcome("whole")
    assert Path("run/config.json").read_bytes() == Path("whole/config.json").read_bytes()
    assert stpn("--resume", "--output", "run", "--epochs", str(EPOCHS)) == 1


def test_a_longer_run_has_no_result_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--output", "run") == 0

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save", fail)
    assert stpn("--resume", "--output", "run", "--epochs", str(EPOCHS + 1)) == 1
    assert not Path("run/result.json").exists()


def test_another_version_is_noted_and_recorded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert interrupted("run", *OPTIONS, at=[2]).returncode == 130
    (before,) = RunFolder(Path("run")).read_versions()
    kernel, other = before["kernel"], {**before, "kernel": "other"}
    monkeypatch.setattr(run_module, "_versions", lambda backend: other)
    for noted in (True, False):
        assert stpn("--resume", "--output", "run", "--epochs", str(EPOCHS + 1)) == 0
        err = capsys.readouterr().err
        assert RunFolder(Path("run")).read_versions() == [before, other]
        Path("run/result.json").unlink()
        assert (f"run was trained by kernel {kernel}, and goes on by kernel other" in err) == noted
    assert stpn("--resume", "--output", "run") == 0
    assert cli.main(["report", "run"]) == 0
    assert f"kernel {kernel} and other," in Path("report/report.md").read_text()


def test_resume_without_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("--resume", "--output", "nowhere") == 1
    assert "nowhere holds no run" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_divergence_is_an_error_and_keeps_the_checkpoint(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    finite = KernelClassifier.loss

    def loss(self: KernelClassifier, x: Any, targets: Any) -> tuple[float, int]:
        value, correct = finite(self, x, targets)
        return (float("nan") if updates_of(self) else value), correct

    calls = 0

    def updates_of(_: KernelClassifier) -> bool:
        nonlocal calls
        calls += 1
        return calls > BATCHES + 2

    monkeypatch.setattr(KernelClassifier, "loss", loss)
    assert stpn(*OPTIONS, "--output", "run") == 1
    assert "diverged: the loss of epoch 2 is nan" in capsys.readouterr().err
    assert progress_of("run").epoch == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_divergence_in_the_last_update_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--model", "hebbff", "--lr", "1e25", "--epochs", "1", "--train-sequences", "16"]
    assert run("--output", "run", *few) == 1
    assert "diverged: the energy after epoch 1 is nan" in capsys.readouterr().err
    assert progress_of("run").epoch == 0 and not Path("run/result.json").exists()


def test_divergence_of_a_parameter_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Adam.step

    def step_too_far(adam: Adam, gradient: Array) -> None:
        step(adam, gradient)
        if adam.steps == BATCHES:
            adam.parameters[-1] = np.inf  # of the readout, which has no energy

    monkeypatch.setattr(Adam, "step", step_too_far)
    assert run("--output", "run") == 1
    assert "diverged: the largest parameter after epoch 1 is inf" in capsys.readouterr().err


def test_a_result_is_of_numbers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "evaluate", lambda *_: Evaluation(0.5, (1.0, float("nan"))))
    assert run("--output", "run") == 1
    assert "diverged: the energy on the test set is nan" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(Path("nan.json"), float("nan"))
    assert not Path("nan.json").exists() and not Path("run/result.json").exists()


def test_metrics_for_tensorboard() -> None:
    """Each epoch is there once, also after an interruption and a resumption."""
    events = pytest.importorskip("tensorboardX.proto.event_pb2")
    assert interrupted("run", *OPTIONS, "--tensorboard", at=[BATCHES + 2]).returncode == 130
    assert stpn("--resume", "--output", "run", "--tensorboard") == 0
    (file,) = Path("run/tensorboard").iterdir()
    content, losses = file.read_bytes(), []
    while content:  # of each record: its length, a checksum, the event, a checksum
        size = int.from_bytes(content[:8], "little")
        event = events.Event.FromString(content[12 : 12 + size])
        losses += [(event.step, value.simple_value) for value in event.summary.value if value.tag == "loss"]
        content = content[16 + size :]
    expected = [(row["epoch"], row["loss"]) for row in RunFolder(Path("run")).read_metrics()]
    assert losses == [(epoch, pytest.approx(loss, rel=1e-6)) for epoch, loss in expected]
    assert len(expected) == EPOCHS


# damage


def damaged(content: bytes, how: str) -> bytes:
    if how == "truncated":
        return content[:-10]
    if how == "one bit":
        return content[:-10] + bytes([content[-10] ^ 1]) + content[-9:]
    if how == "record":
        return content.replace(b'\\"batch\\": 16', b'\\"batch\\": 17')
    return {"empty": b"", "random": bytes(range(256)) * 20, "header": content[:100]}[how]


@pytest.mark.parametrize("how", ["truncated", "one bit", "record", "empty", "random", "header"])
def test_a_damaged_checkpoint_is_an_error_and_left_alone(
    how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--output", "run") == 0
    path = Path("run/checkpoint.safetensors")
    whole = path.read_bytes()
    path.write_bytes(damaged(whole, how))
    before = content("run")
    assert path.read_bytes() != whole
    assert stpn("--resume", "--output", "run") == 1
    err = capsys.readouterr().err
    assert "run/checkpoint.safetensors is damaged" in err and "Traceback" not in err
    assert content("run") == before


def test_a_safetensors_file_of_another_kind() -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"weight": np.zeros(3)}, "other.safetensors")
    with pytest.raises(
        ValueError, match="expected a file of the format 'stpn_swift checkpoint 1', got 'none'"
    ):
        checkpoint.load(Path("other.safetensors"), FORMAT)


def test_restore_copies_nothing_where_one_array_differs() -> None:
    target: dict[str, Array] = {"a": np.zeros(2), "b": np.zeros((2, 3), np.float32)}
    others: list[dict[str, Array]] = [
        {"a": np.ones(2)},
        {"a": np.ones(2), "b": np.ones((3, 2), np.float32)},
        {"a": np.ones(2), "b": np.ones((2, 3))},
    ]
    for wrong in others:
        with pytest.raises(ValueError, match=r"b: expected float32\[2, 3\], got"):
            checkpoint.restore(target, wrong)
        assert not target["a"].any()


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_failing_write_leaves_the_old_file(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("file.bin")
    files.write_atomically(path, b"old")

    def fail(*arguments: Any, **options: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as failing:
        failing.setattr("builtins.open" if step == "open" else f"os.{step}", fail)
        with pytest.raises(OSError, match=r"No space left on device: 'file\.bin'"):
            files.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(Path().iterdir()) == [path]


def test_a_write_leaves_no_other_file(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    files.write_atomically(folder / "file", b"old")
    files.write_atomically(folder / "file", b"new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"file": b"new"}


def test_the_disk_is_full(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = interrupted("run", *OPTIONS, at=[BATCHES + 2])
    assert stopped.returncode == 130
    before = content("run")

    def fail(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert stpn("--resume", "--output", "run") == 1
    assert "No space left on device" in capsys.readouterr().err
    assert content("run") == before


# killed


def test_a_run_that_was_killed_before_its_first_checkpoint() -> None:
    assert run("--output", "whole") == 0
    Path("killed").mkdir()
    shutil.copy("whole/config.json", "killed")
    assert stpn("--resume", "--output", "killed") == 0
    assert outcome("killed") == outcome("whole")


@pytest.mark.parametrize("options", [(), ("--shuffle",)], ids=["in order", "shuffled"])
def test_killed_at_any_moment_it_goes_on_to_the_same_bits(options: tuple[str, ...]) -> None:
    command = [sys.executable, str(KILLS), *OPTIONS, "--epochs", "300", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    killed = list(Path().glob("killed-*"))
    assert killed
    for folder in killed:
        assert outcome(str(folder)) == outcome("whole")


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """One that other users may enter."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Root may write to any folder."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_folder_that_may_not_be_written_to(public_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--output", "elsewhere") == 0  # all modules are loaded
    folder = public_folder / "run"
    folder.mkdir()
    folder.chmod(0o555)
    with as_nobody():
        assert run("--output", str(folder)) == 1
    err = capsys.readouterr().err
    assert str(folder) in err and "denied" in err and "Traceback" not in err
    assert list(folder.iterdir()) == []
