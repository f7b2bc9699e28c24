"""Excitatory and inhibitory neurons: their signs, and what the study of them measures."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_run import OPTIONS, SETTINGS
from stpn_swift import checkpoint
from stpn_swift.experiments import cli
from stpn_swift.experiments.dale import Population, Signs, restore_signs
from stpn_swift.experiments.models import Backend
from stpn_swift.experiments.run import by_kernel, prepare
from stpn_swift.experiments.run_folder import SYNAPSES
from stpn_swift.experiments.settings import RetrievalSettings
from stpn_swift.experiments.synapses import RECORDED_BATCH, record
from stpn_swift.experiments.training import Trainer

H, I, E = 10, 4, 8  # noqa: E741


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_rows_have_the_sign_of_the_receiving_neuron() -> None:
    before = np.random.default_rng(0).normal(size=(H, I + H))
    weight = before.copy()
    restore_signs(weight, "rows")
    assert np.array_equal(weight[:E], before[:E].clip(min=0))
    assert np.array_equal(weight[E:], before[E:].clip(max=0))


def test_columns_have_the_sign_of_the_sending_neuron() -> None:
    before = np.random.default_rng(0).normal(size=(H, I + H))
    weight = before.copy()
    restore_signs(weight, "columns")
    assert np.array_equal(weight[:, :I], before[:, :I])
    assert np.array_equal(weight[:, I : I + E], before[:, I : I + E].clip(min=0))
    assert np.array_equal(weight[:, I + E :], before[:, I + E :].clip(max=0))


@pytest.mark.parametrize("hidden_size", [5, 50, 99, 100])
def test_four_fifths_excite(hidden_size: int) -> None:
    assert Population.of(hidden_size).excitatory == int(0.8 * hidden_size)


def test_the_synapses_between_populations() -> None:
    sender, receiver = np.arange(H), np.arange(H)[:, None]
    synapses = np.concatenate([np.full((H, I), -1), 100 * receiver + sender], axis=1)
    between = Population.of(H).between(synapses)
    assert between["E→E"].shape == (E, E) and between["E→I"].shape == (H - E, E)
    assert between["E→E"][3, 5] == 305 and between["E→I"][1, 7] == 907


def trainer_of(signs: Signs, backend: Backend = "kernel") -> tuple[Trainer, RetrievalSettings]:
    settings = RetrievalSettings(
        **{**SETTINGS, "hidden_size": H}, dale=signs, backend=backend, dtype="float64"
    )
    return prepare(settings)[0], settings.resolve()


@pytest.mark.parametrize("signs", ["rows", "columns"])
def test_signs_are_restored_after_each_update(signs: Signs) -> None:
    trainer, _ = trainer_of(signs)
    assert trainer.epoch(lambda: True, lambda: None) is False  # one update
    weight = trainer.network.parameters["cell.weight"]
    expected = weight.copy()
    restore_signs(expected, signs)
    assert np.array_equal(weight, expected)
    assert (weight > 0).any() and (weight < 0).any()
    assert trainer.optimizer.parameters is trainer.network.vector


@pytest.mark.parametrize("backend", ["kernel", "torch"])
def test_the_record_of_a_network(backend: Backend) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    trainer, settings = trainer_of("columns", backend)
    network = by_kernel(trainer.network, settings)
    sequences = trainer.validation
    synapses = record(network, sequences)
    F = network.cell.forward(sequences.one_hot("float64"), record_state=True)[3]["F"]
    assert F.shape == (50, 9, H, 37 + H) and len(sequences) < RECORDED_BATCH
    np.testing.assert_allclose(synapses.short_term, F.mean(axis=0), atol=1e-15)
    np.testing.assert_allclose(synapses.absolute, np.abs(F).mean(axis=0), atol=1e-15)
    means = synapses.means()
    np.testing.assert_allclose(means["F"]["E→I"], F[:, :, E:, 37 : 37 + E].mean(axis=(0, 2, 3)), atol=1e-15)
    assert means["Λ"]["E→E"] == trainer.network.parameters["cell.weight_lambda"][:E, 37 : 37 + E].mean()


def test_the_record_of_batches_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, settings = trainer_of("rows")
    network = by_kernel(trainer.network, settings)
    whole = record(network, trainer.validation)
    monkeypatch.setattr("stpn_swift.experiments.synapses.RECORDED_BATCH", 13)
    for ours, theirs in zip(record(network, trainer.validation), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-15)


@pytest.mark.parametrize("model", ["stpnr", "stpnr-scalar"])
def test_a_run_keeps_what_its_synapses_do(model: str) -> None:
    arguments = [*OPTIONS, "--model", model, "--dale", "columns", "--hidden-size", "10", "--output", "run"]
    assert cli.main(["train", "retrieval", *arguments]) == 0
    result = json.loads(Path("run/result.json").read_text())["synapses"]
    assert result.keys() == {"F", "|F|", "Λ", "Γ"}
    assert all(len(result[name][between]) == 9 for name in ("F", "|F|") for between in ("E→E", "E→I"))
    images, _ = checkpoint.load(Path("run/synapses.safetensors"), SYNAPSES)
    assert {name: image.shape for name, image in images.items()} == dict.fromkeys("FΛΓ", (10, 47))
    assert images["F"][:8, 37:45].mean() == pytest.approx(result["F"]["E→E"][-1])


def test_the_study_has_settings_of_its_own() -> None:
    def settings_of(*arguments: str) -> RetrievalSettings:
        command = cli.parse(["train", "retrieval", *arguments])
        assert isinstance(command, cli.Train)
        return command.settings.resolve()

    settings = settings_of("--dale", "rows")
    assert (settings.hidden_size, settings.epochs, settings.train_sequences) == (50, 150, 10_000)
    assert settings_of("--dale", "rows", "--hidden-size", "100").hidden_size == 100
    Path("settings.json").write_text(json.dumps({"epochs": 7}))
    settings = settings_of("--config", "settings.json", "--dale", "rows")
    assert (settings.hidden_size, settings.epochs, settings.train_sequences) == (50, 7, 10_000)
    Path("settings.json").write_text(json.dumps({"dale": "columns", "train_sequences": 3000}))
    settings = settings_of("--config", "settings.json", "--epochs", "3")
    assert (settings.hidden_size, settings.epochs, settings.train_sequences) == (50, 3, 3000)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dale", "rows", "--model", "lstm"], "--dale is for stpnr and stpnr-scalar"),
        (["--dale", "columns", "--model", "stpnf"], "--dale is for stpnr and stpnr-scalar"),
        (["--dale", "columns", "--hidden-size", "4"], "--dale needs 5 neurons or more, not --hidden-size 4"),
    ],
)
def test_what_has_no_signs(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "retrieval", *arguments]) == 1
    assert message in capsys.readouterr().err and not Path("runs").exists()


def test_a_study_and_its_report(capsys: pytest.CaptureFixture[str]) -> None:
    for signs in ("rows", "columns"):
        arguments = ["--dale", signs, *OPTIONS, "--seeds", "0..1", "--output", f"runs/{signs}"]
        assert cli.main(["compare", "retrieval", *arguments]) == 0
    assert len([*Path("runs").rglob("result.json")]) == 4  # of STPNR alone
    assert cli.main(["report", "runs"]) == 0
    page = Path("report/report.md").read_text()
    ends = [
        json.loads(Path("runs/rows/stpnr", f"seed-{seed}", "result.json").read_text())["synapses"]["F"][
            "E→I"
        ][-1]
        for seed in (0, 1)
    ]
    row = next(line for line in page.splitlines() if line.startswith("| STPNR, dale rows | E→I"))
    assert f"| {np.mean(ends):.3g} ± {np.std(ends, ddof=1):.3g} |" in row
    assert r"\|F\| at the end" in page
    figures = {path.name for path in Path("report/figures").iterdir()}
    assert {"short-term.svg", "synapses-1.svg", "synapses-2.svg"} <= figures
    assert all(f"figures/{name}" in page for name in figures)
    assert "Λ and Γ of ../runs/columns/stpnr/seed-0" in page

    Path("runs/rows/stpnr/seed-0/synapses.safetensors").write_bytes(b"damaged")
    capsys.readouterr()
    assert cli.main(["report", "runs"]) == 1
    assert "synapses.safetensors is damaged" in capsys.readouterr().err

    path = Path("runs/rows/stpnr/seed-1/result.json")
    result = json.loads(path.read_text())
    for without, name in ((result["synapses"], "F"), (result, "synapses")):
        del without[name]
        path.write_text(json.dumps(result))
        assert cli.main(["report", "runs/columns", "runs/rows"]) == 1
        err = capsys.readouterr().err
        assert f"{path}" in err and name in err and "Traceback" not in err
