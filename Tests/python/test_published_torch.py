"""Checkpoints of the code published with the paper (Tests/published/README.md)."""

import copy
import pickle
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
import stpn_swift
from test_published import NETWORKS, PRE, maze, options, stpn

torch = pytest.importorskip("torch")
from stpn_swift.torch import load_published  # noqa: E402

FOLDER = Path(__file__).resolve().parent.parent / "published"
NO_QUIRKS = {"modulated", "lstm", "rnn"}


@pytest.fixture(params=NETWORKS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def state_dict(name: str) -> dict[str, Any]:
    entries: dict[str, Any] = torch.load(FOLDER / f"{name}.pth", weights_only=True)
    return entries


def test_there_are_nine_checkpoints() -> None:
    assert {path.stem for path in FOLDER.glob("*.pth")} == NETWORKS.keys() and len(NETWORKS) == 9


def outputs(network: Any, x: Any) -> tuple[Any, Any]:
    """The logits after the last step, and the energies of the steps."""
    with torch.no_grad():
        logits = network(x)[0]["hidden2tag"][:, -1]
    return logits.numpy(), network.energy(x).sum(2).numpy()


def test_checkpoints(name: str) -> None:
    network = load_published(FOLDER / f"{name}.pth", NETWORKS[name])
    with np.load(FOLDER / f"{name}.npz") as file:
        logits, energy = outputs(network, torch.from_numpy(file["x"]))
        golden.assert_close(logits, file["logits"], "logits")
        golden.assert_close(energy, file["energy"], "energy")


def test_which_networks_have_quirks(name: str) -> None:
    with np.load(FOLDER / f"{name}.npz") as file:
        x, expected = torch.from_numpy(file["x"]), file["logits"]
    network = load_published(state_dict(name), NETWORKS[name], variant="paper")
    logits, _ = outputs(network, x)
    assert np.allclose(logits, expected, rtol=0, atol=1e-9) == (name in NO_QUIRKS)


def test_they_learn(name: str) -> None:
    """All but what is fixed, and goes on from a state as one sequence does."""
    network = load_published(state_dict(name), NETWORKS[name])
    x = torch.randn(2, 6, 37, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y, final = network(x)
    first, state = network(x[:, :2])
    second, state = network(x[:, 2:], state)
    assert torch.allclose(torch.cat([first["hidden2tag"], second["hidden2tag"]], 1), y["hidden2tag"])
    assert all(torch.allclose(state[entry], tensor) for entry, tensor in final.items())
    y["hidden2tag"].square().sum().backward()
    learned = sum(p.numel() for p in network.parameters() if p.requires_grad)
    in_file = [
        t.numel() for entry, t in state_dict(name).items() if not (entry == "rnn.bias" and "stpnf" in name)
    ]
    assert learned == sum(in_file)
    assert all(p.grad is not None and p.grad.any() for p in network.parameters() if p.requires_grad)


SQUASHED = ["stpnf", "stpnf_scalar", "hebbff"]


@pytest.mark.parametrize("name", SQUASHED)
def test_a_squashed_cell_takes_what_a_cell_does(name: str) -> None:
    cell: Any = load_published(state_dict(name), NETWORKS[name]).cell
    x, lengths = torch.randn(3, 6, 37, dtype=torch.float64), torch.tensor([2, 6, 3])
    resets = torch.rand(3, 6) < 0.3
    y, final, energy = cell(x, cell.initial_state(3), resets, energy=True, lengths=lengths)
    for b, length in enumerate(lengths.tolist()):
        alone = cell(x[b, :length], None, resets[b, :length], energy=True)
        assert torch.allclose(y[b, :length], alone[0]) and not y[b, length:].any()
        assert torch.allclose(final["F"][b], alone[1]["F"]) and torch.allclose(energy[b, :length], alone[2])
    state, used = cell.initial_state(3), torch.empty_like(y[:, 0])
    y, final, energy = cell(x[:, :2], energy=True)
    with torch.no_grad():
        steps = [cell.step(x[:, t], state, energy=used) for t in range(2)]
    assert torch.allclose(torch.stack(steps, 1), y) and torch.allclose(state["F"], final["F"])
    assert torch.allclose(used, energy[:, 1])
    with pytest.raises(TypeError, match=r"x: expected torch\.float64, got torch\.float32"):
        cell(x.float())
    cell.backend = "kernel"
    with pytest.raises(ValueError, match='backend: expected "auto" or "torch" for a squashed cell'):
        cell(x)


@pytest.mark.parametrize("name", SQUASHED)
def test_copies_of_a_squashed_cell(name: str) -> None:
    cell: Any = load_published(state_dict(name), NETWORKS[name]).cell
    x = torch.ones(1, 3, 37, dtype=torch.float64)
    again = stpn_swift.torch.cell_from_config(cell.config, dtype=torch.float64)
    again.load_state_dict(cell.state_dict())
    for same in (again, copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert same.config == cell.config and repr(same) == repr(cell)
        assert torch.equal(same(x)[0], cell(x)[0])
    assert repr(cell).startswith(f"SquashedCell(cell='{cell.config['cell']}', input_size=37, hidden_size=")
    with pytest.raises(ValueError, match=r'squashed: expected a cell "stpn" or "hebbff", got "fast_weights"'):
        stpn_swift.torch.cell_from_config(
            {"cell": "fast_weights", "input_size": 3, "hidden_size": 4, "squashed": True}
        )


def test_sequences_of_a_network() -> None:
    network: Any = load_published(state_dict("stpnf"), NETWORKS["stpnf"])
    x, resets = torch.randn(2, 5, 37, dtype=torch.float64), torch.rand(2, 5) < 0.5
    lengths = torch.tensor([3, 5])
    y, final, energy = network.cell(x, resets=resets, lengths=lengths, energy=True)
    outputs, state = network(x, resets=resets, lengths=lengths)
    assert torch.equal(outputs["hidden2tag"], network.readouts["hidden2tag"](y))
    assert torch.equal(state["F"], final["F"])
    assert torch.equal(network.energy(x, resets=resets, lengths=lengths), energy)


def test_a_bias_without_effect_is_reported() -> None:
    network = load_published(state_dict("stpnf"), NETWORKS["stpnf"])
    assert "rnn.bias has no effect: the network has no bias" in network.model.ignored


def test_the_input_size_is_that_of_the_checkpoint(name: str) -> None:
    with pytest.raises(ValueError, match=r"data\.dict_size: expected 37, .* the checkpoint, got 5"):
        load_published(state_dict(name), NETWORKS[name] | {"data": {"dict_size": 5}})


def test_a_configuration_that_states_no_input_size() -> None:
    entries = published_names(stpn_swift.torch.STPNR(5, 6), "rnn.", {"hidden2tag": 5})
    config = stpn(hidden_size=6) | {"data": {}}
    assert load_published(entries, config, variant="paper").model.config["input_size"] == 5


def published_names(cell: Any, prefix: str, heads: dict[str, int]) -> dict[str, Any]:
    """The state_dict of a network with a cell, as the published code names its entries."""
    entries = {f"{prefix}{entry}": p.detach() for entry, p in cell.named_parameters()}
    for head, size in heads.items():
        linear = torch.nn.Linear(cell.hidden_size, size)
        entries |= {f"{head}.{entry}": p.detach() for entry, p in linear.named_parameters()}
    return entries


@pytest.mark.parametrize(("unit", "prefix"), [("stpn", "rnn.rnn."), ("modplast", "")])
def test_a_network_of_the_maze(unit: str, prefix: str) -> None:
    config = maze(f"--type {unit} --hs 6", learn_plastic_weight_params_dims=[])
    cell = stpn_swift.torch.cell_from_config(options(config))
    entries = published_names(cell, prefix, {"h2o": 4, "h2v": 1})
    for rate in ("rnn.rnn.weight_lambda", "rnn.rnn.weight_gamma"):
        if rate in entries:
            entries[rate] = entries[rate].reshape(1)
    network = load_published(entries, config)
    x = torch.randn(2, 5, 17)
    y, final = cell(x)
    found, state = network(x)
    assert torch.equal(
        found["h2o"], torch.nn.functional.linear(y, entries["h2o.weight"], entries["h2o.bias"])
    )
    assert torch.equal(
        found["h2v"], torch.nn.functional.linear(y, entries["h2v.weight"], entries["h2v.bias"])
    )
    assert all(torch.equal(state[entry], tensor) for entry, tensor in final.items())


def test_an_lstm_of_the_maze() -> None:
    """With the names and the two biases of PyTorch's."""
    lstm = torch.nn.LSTM(17, 6, batch_first=True)
    entries = {f"rnn.rnn.{entry}": p.detach() for entry, p in lstm.named_parameters()}
    entries |= {
        f"{h}.{e}": torch.ones(s) for h in ("h2o", "h2v") for e, s in (("weight", (1, 6)), ("bias", (1,)))
    }
    network = load_published(entries, maze("--type lstm --hs 6"))
    x = torch.randn(2, 5, 17)
    assert torch.equal(network.cell(x)[0], lstm(x)[0])


def test_a_gain() -> None:
    config = stpn(hidden_size=6, plasticity_type_kwargs=PRE | {"weight_norm": {"learn": True}})
    cell = stpn_swift.torch.cell_from_config(options(config))
    torch.nn.init.uniform_(cell.norm_gain, 0.5, 1.5)
    entries = published_names(cell, "rnn.", {"hidden2tag": 37})
    entries["rnn.g_weight_norm"] = entries.pop("rnn.norm_gain").unsqueeze(1)
    x = torch.randn(2, 5, 37)
    assert torch.equal(load_published(entries, config).cell(x)[0], cell(x)[0])


def test_the_demo_needs_no_configuration() -> None:
    cell = stpn_swift.torch.STPNR(37, 11)
    network = load_published(published_names(cell, "", {"hidden2tag": 37}))
    x = torch.randn(2, 9, 37)
    assert network.cell.config == cell.config
    assert torch.equal(network.cell(x)[0], cell(x)[0])
    with pytest.raises(ValueError, match="config: expected one, got None"):
        load_published(state_dict("stpnr"))


def test_entries_that_do_not_fit_are_named() -> None:
    entries = state_dict("stpnr")
    del entries["rnn.bias"], entries["hidden2tag.bias"]
    entries["rnn.extra"] = torch.zeros(3)
    entries["rnn.weight_lambda"] = torch.zeros(11, 47)
    with pytest.raises(ValueError) as error:
        load_published(entries, NETWORKS["stpnr"])
    expected, got = str(error.value).split("; got ")
    assert expected.startswith("checkpoint: expected rnn.weight (11, 48), rnn.bias (11,), ")
    assert set(got.split("; ")) == {
        "rnn.bias missing",
        "hidden2tag.bias missing",
        "rnn.extra unexpected",
        "rnn.weight_lambda (11, 47) in the place of (11, 48)",
    }
    with pytest.raises(ValueError, match=r"rnn\.weight \(11, 48\) in the place of \(12, 48\)"):
        load_published(
            state_dict("stpnr"), stpn(hidden_size=12) | {"data": {"dict_size": 36}}, variant="paper"
        )
    with pytest.raises(ValueError, match=r"rnn\.weight_lambda missing"):
        load_published(state_dict("fast_weights"), stpn(hidden_size=20))
    with pytest.raises(ValueError, match=r"; got weight missing; bias missing; hidden2tag\.weight missing"):
        load_published({}, NETWORKS["lstm"])


class Evil:
    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


def test_nothing_else_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("evil.pth")
    torch.save({"rnn.weight": Evil()}, path)
    with pytest.raises(
        ValueError, match=r"a state_dict in a file, got evil\.pth: it holds more than tensors, or is damaged$"
    ):
        load_published(path, NETWORKS["stpnr"])
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ValueError, match="checkpoint: expected a state_dict in a file"):
        load_published(path, NETWORKS["stpnr"])
    assert not Path("executed").exists()
    for content in (b"", b"no checkpoint", (FOLDER / "stpnr.pth").read_bytes()[:5000]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="checkpoint: expected a state_dict in a file"):
            load_published(path, NETWORKS["stpnr"])
    with pytest.raises(TypeError, match="checkpoint: expected a path or a state_dict, got NoneType"):
        load_published(None, NETWORKS["stpnr"])  # type: ignore[arg-type]
    for value, message in (([], "a state_dict, got list"), ({"a": 1}, "by name, got 'a': int")):
        torch.save(value, path)
        with pytest.raises(ValueError, match=message):
            load_published(path, NETWORKS["stpnr"])
    with pytest.raises(FileNotFoundError):
        load_published("absent.pth", NETWORKS["stpnr"])


def test_tensors_that_are_no_parameters() -> None:
    H, K = 4, 7
    good = {name: torch.zeros(H, K) for name in ("weight", "weight_lambda", "weight_gamma")}
    good |= {
        "bias": torch.zeros(H),
        "hidden2tag.weight": torch.zeros(5, H),
        "hidden2tag.bias": torch.zeros(5),
    }
    assert load_published(good).model.config["input_size"] == K - H
    wrong = [
        (torch.zeros(H, K).to_sparse(), "expected dense tensors, got 'weight': torch.sparse_coo"),
        (torch.zeros(H, K, device="meta"), "expected dense tensors, got 'weight': .* on meta"),
        (torch.zeros(K, H), r"expected weight \(H, I\+H\), got \(7, 4\)"),
    ]
    for weight, message in wrong:
        with pytest.raises(ValueError, match=message):
            load_published({**good, "weight": weight})
