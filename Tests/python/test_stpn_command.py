"""The command line `stpn`: what it refuses, what files say, and what it explains."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stpn_swift
from small_run import OPTIONS, SETTINGS
from stpn_swift import __main__
from stpn_swift.experiments import cli
from stpn_swift.experiments.models import MODEL_NAMES, MODELS
from stpn_swift.experiments.settings import RetrievalSettings, TrainingSettings


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def stpn(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as stop:
        assert isinstance(stop.code, int)
        return stop.code


def settings_of(*arguments: str) -> RetrievalSettings:
    command = cli.parse(["train", "retrieval", *arguments])
    assert isinstance(command, cli.Train)
    return command.settings.resolve()


def words(text: str) -> str:
    """Without the frames of tyro, and in one line."""
    return " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--hidden-size", "0"], 1, "--hidden-size must be 1 or more, not 0"),
        (["--epochs", "-1"], 1, "--epochs must be 1 or more, not -1"),
        (["--batch", "0"], 1, "--batch must be 1 or more"),
        (["--seed", "-1"], 1, "--seed must be 0 or more, not -1"),
        (["--lr", "nan"], 1, "--lr must be a positive number, not nan"),
        (["--lr", "0"], 1, "--lr must be a positive number, not 0"),
        (["--batch", "200"], 1, "--train-sequences 100 is less than one batch (--batch 200)"),
        (["--test-sequences", "10"], 1, "--test-sequences 10 is less than one batch (--batch 16)"),
        (["--threads", "0"], 1, "--threads: "),
        (["--pairs", "0"], 1, "--pairs must be from 1 to 52, not 0"),
        (["--pairs", "60"], 1, "--pairs must be from 1 to 52, not 60"),
        (["--validation-sequences", "9" * 20], 1, "--validation-sequences must be 1000000000 or less"),
        (["--hidden-size", "9999999"], 1, "out of memory: Unable to allocate"),
        (
            ["--letters", "2"],
            1,
            "--letters must be from 3 to 52, not 2, the pairs having letters of their own",
        ),
        (["--digits", "11"], 1, "--digits must be from 1 to 10, not 11"),
        (["--question-marks", "-1"], 1, "--question-marks must be from 0 to 10000, not -1"),
        (["--resume", "--overwrite"], 1, "--resume contradicts --overwrite"),
        (["--resume", "--config", "x"], 1, "--resume contradicts --config"),
        (["--model", "lstm", "--backend", "kernel"], 1, "--backend kernel contradicts the model: LSTM"),
        (["--config", "nowhere.json"], 1, "nowhere.json"),
        (["--momentum", "1"], 2, "Unrecognized options: --momentum"),
        (["--hidden", "3"], 2, "Unrecognized options: --hidden"),
        (["--epochs", "many"], 2, "invalid literal for int"),
        (["--model", "gru"], 2, "invalid choice 'gru' for argument '--model'"),
    ],
)
def test_wrong_settings(
    arguments: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stpn("train", "retrieval", *OPTIONS, *arguments) == code
    assert message in words(capsys.readouterr().err)
    assert not Path("runs").exists()


@pytest.mark.parametrize("model", ["stpnf", "stpnf-scalar", "hebbff"])
def test_the_kernel_does_not_compute_what_the_published_code_did_with_F(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--model", model, "--variant", "published", "--backend", "kernel"]
    assert stpn("train", "retrieval", *arguments) == 1
    assert "--backend kernel contradicts the model" in capsys.readouterr().err


def test_a_command_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("tarin", "retrieval") == 2
    assert "tarin is no command: expected one of train, compare" in capsys.readouterr().err
    assert stpn("train", "maze") == 2
    assert "'maze'" in words(capsys.readouterr().err)


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("--help") == stpn() == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)
    for name in cli.COMMANDS:
        assert stpn(name, "--help") == 0
    out = words(capsys.readouterr().out)
    for name, value in RetrievalSettings().as_dict().items():
        if name != "section":
            option = f"--{name.replace('_', '-')}"
            assert option in out
            assert isinstance(value, bool) or f"(default: {value})" in out.partition(option)[2]


def test_a_sentence_of_help_is_broken_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for name in ("train", "compare"):
        assert stpn(name, "--help") == 0
        sentences = " ".join(capsys.readouterr().out.split("\n"))
        for sentence in (
            "are clipped to 0 or more, of the others to 0 or less. columns: those that a neuron sends",
            "None: the kernel where it computes the model",
            "options go before what it says",
        ):
            assert sentence in sentences


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("--version") == 0
    assert capsys.readouterr().out == f"stpn_swift {stpn_swift.__version__}\n"


@pytest.mark.parametrize("arguments", [["info"], ["--help"]])
def test_a_pipe_that_is_closed_is_the_end(arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "stpn_swift", *arguments]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert result.returncode == cli.BROKEN_PIPE and result.stderr == ""


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("info") == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in MODEL_NAMES) and "tyro " in out


def test_the_defaults_are_the_papers() -> None:
    settings = settings_of().as_dict()
    assert settings == {
        "model": "stpnr",
        "seed": 0,
        "section": None,
        "pairs": 3,
        "letters": 26,
        "digits": 10,
        "question_marks": 2,
        "hidden_size": 11,
        "variant": "paper",
        "backend": "kernel",
        "dtype": "float32",
        "epochs": 200,
        "batch": 128,
        "lr": 1e-3,
        "shuffle": False,
        "train_sequences": 100_000,
        "validation_sequences": 10_000,
        "test_sequences": 20_000,
        "dale": None,
    }


# files of settings


def write(content: Any, name: str = "config.json") -> str:
    Path(name).write_text(json.dumps(content))
    return name


def test_a_file_of_settings_and_options_beside_it() -> None:
    path = write({"model": "rnn", "epochs": 3, "lr": 1, "shuffle": True})
    settings = settings_of("--config", path, "--epochs", "5")
    assert (settings.model, settings.epochs, settings.lr) == ("rnn", 5, 1.0)
    assert settings.shuffle and not settings_of("--config", path, "--no-shuffle").shuffle
    assert settings.hidden_size == 20 and settings.backend == "torch"


def test_the_config_of_a_run_is_a_file_of_settings() -> None:
    assert stpn("train", "retrieval", *OPTIONS, "--output", "run") == 0
    settings = settings_of("--config", "run/config.json", "--seed", "4")
    assert settings == RetrievalSettings(**SETTINGS, seed=4).resolve()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"epoch": 3}, "epoch: expected a setting, one of model, seed"),
        ({"epochs": "3"}, "epochs: '3'"),
        ({"epochs": True}, "epochs: True is true or false where that means nothing"),
        ({"lr": False}, "lr: False is true or false"),
        ({"lr": float("inf")}, "expected JSON: Infinity is not a finite number"),
        ({"section": {"recurrent_unit": "STPNr"}}, "model.hidden_size: expected an integer of 1 or more"),
        ({"section": {"hidden_size": 5}}, "model.recurrent_unit: expected"),
        ({"model": "gru"}, "model: 'gru'"),
        ({"settings": 3}, "expected an object of settings, got int"),
        ([], "expected an object, got list"),
        ({"command": {"train": "--type stpn"}}, "is a configuration of the maze"),
        ({"model": {"recurrent_unit": "GRU", "hidden_size": 3}}, "model.recurrent_unit: expected"),
        (
            {"model": dict(MODELS["lstm"].section), "data": {"dict_size": 20}},
            "data.dict_size: expected 37, got 20",
        ),
    ],
)
def test_a_file_that_is_refused(content: Any, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert stpn("train", "retrieval", "--config", write(content)) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and message in err
    assert "--config config.json" in err or "the configuration is refused" in err


def test_a_file_that_is_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config.json").write_text("epochs: 3")
    assert stpn("train", "retrieval", "--config", "config.json") == 1
    assert "--config config.json: expected JSON" in capsys.readouterr().err
    Path("config.json").write_text("[" * 100_000)
    assert stpn("train", "retrieval", "--config", "config.json") == 1
    assert "expected JSON: it is nested too deeply" in capsys.readouterr().err


def test_a_comparison_takes_the_config_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    def shared(*arguments: str) -> TrainingSettings:
        command = cli.parse(["compare", "retrieval", "--config", "run/config.json", *arguments])
        assert isinstance(command, cli.Compare)
        return command.settings

    few = ["train", "retrieval", *OPTIONS, "--output", "run", "--overwrite", "--model", "modulated"]
    assert stpn(*few) == 0
    assert shared("--epochs", "7") == TrainingSettings(**{**SETTINGS, "epochs": 7})
    assert "note: run/config.json: model modulated and seed 0 have no effect" in capsys.readouterr().err
    assert stpn(*few, "--hidden-size", "17") == 0  # which is the model's own
    assert shared().hidden_size is None
    described = json.loads(Path("run/config.json").read_text())
    described["settings"]["section"] = dict(MODELS["modulated"].section)
    Path("run/config.json").write_text(json.dumps(described))
    assert stpn("compare", "retrieval", "--config", "run/config.json") == 1
    assert "run/config.json describes one network: it is for stpn train" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["stpnr", "stpnf"])
def test_a_published_configuration_that_names_the_usual_ranges_is_the_model(name: str) -> None:
    ranges = {
        "weight_lambda": {"mode": "uniform", "mean": 0.5, "spread": 0.5, "hidden_weighting": None},
        "weight_gamma": {"mode": "uniform", "mean": 0, "spread": 0.001, "hidden_weighting": "both"},
    }
    section = json.loads(json.dumps(next(model.section for key, model in MODELS.items() if key == name)))
    section["rnn_args"]["stp"]["plastic_weights_init_config"] = ranges
    assert settings_of("--config", write({"model": section})).section is None
    ranges["weight_gamma"]["spread"] = 0.002
    assert settings_of("--config", write({"model": section})).section == section


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_a_published_configuration_of_the_nine(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    section = dict(next(model.section for key, model in MODELS.items() if key == name))
    training = {"optimizer_args": {"lr": 0.01}, "convergence_args": {"max_epochs": 7}, "epochs": 50}
    path = write({"model": {**section, "hidden_size": 6}, "training": training, "data": {"batch_size": 64}})
    settings = settings_of("--config", path)
    assert "note: config.json: training.epochs has no effect" in capsys.readouterr().err
    assert (settings.model, settings.section, settings.hidden_size) == (name, None, 6)
    assert (settings.variant, settings.epochs, settings.lr, settings.batch) == ("published", 7, 0.01, 64)
    assert settings_of("--config", path, "--variant", "paper").variant == "paper"


def test_a_published_configuration_of_another_network(capsys: pytest.CaptureFixture[str]) -> None:
    section = json.loads(json.dumps(MODELS["stpnr"].section))
    section["rnn_args"]["stp"] |= {"plastic_weight_clamp_val": 0.5, "plasticity_rule": "oja"}
    path = write({"model": section})
    settings = settings_of("--config", path)
    assert settings.model == "stpnr" and settings.section == section
    cell = settings.describe().config
    assert (cell["clamp"], cell["rule"], cell["hidden_size"]) == (0.5, "oja", 11)
    assert stpn("train", "retrieval", "--config", path, "--model", "lstm") == 1
    assert "--model lstm contradicts the configuration, which is of stpnr" in capsys.readouterr().err

    few = ["--config", path, *OPTIONS, "--variant", "paper", "--hidden-size", "4", "--epochs"]
    assert stpn("train", "retrieval", *few, "1", "--output", "run") == 0
    config = json.loads(Path("run/config.json").read_text())
    assert config["settings"]["section"] == section
    assert config["network"]["cell"]["clamp"] == 0.5
    assert stpn("train", "retrieval", "--resume", "--output", "run") == 0


# packages


@pytest.mark.parametrize("package", ["tqdm", "matplotlib", "safetensors", "torch"])
def test_a_missing_package_is_a_sentence(
    package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = importlib.import_module

    def without(module: str) -> Any:
        if module.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)
        return imports(module)

    monkeypatch.setattr(importlib, "import_module", without)
    assert stpn("train", "retrieval", *OPTIONS, "--model", "lstm", "--output", "run") == 1
    err = capsys.readouterr().err
    assert f"pip install {package}" in err and "stpn_swift[experiments,torch]" in err and err.count("\n") == 1
    assert not Path("run").exists()


@pytest.mark.parametrize("package", ["tyro", "typeguard"])
def test_a_missing_package_of_the_command_line_is_a_sentence(
    package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("stpn_swift.experiments")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delattr(sys.modules["stpn_swift"], "experiments", raising=False)
    assert __main__.main() == 1
    err = capsys.readouterr().err
    assert f"the package {package}" in err and "stpn_swift[experiments]" in err and err.count("\n") == 1
