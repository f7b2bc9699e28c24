"""Configurations of the code published with the paper."""

import json
from pathlib import Path
from typing import Any

import pytest
import stpn_swift

Config = dict[str, Any]

PRE = {"weight_norm": {"ord": 2}, "plastic_weight_norm": {"norm": "G", "time": "pre"}}
STP: Config = {
    "learn_plastic_weight_params": True,
    "learn_plastic_weight_params_dims": [0, 1],
    "plastic_weight_clamp_val": None,
    "plastic_weight_connections": "all",
    "plasticity_type": {"weight": "stp"},
    "plasticity_type_kwargs": PRE,
}
FAST_STP: Config = {
    "learn_plastic_weight_params": False,
    "learn_plastic_weight_params_kwargs": {
        "weight_lambda": {"fixed_parameter_value": 0.9},
        "weight_gamma": {"fixed_parameter_value": 0.5},
    },
    "plastic_weight_connections": "hidden",
}
MODPLAST: Config = {"net_type": "modplast", "da": "tanh", "addpw": 3, "clamp_val": 1.0, "NBDA": 1}


def retrieval(unit: str, hidden_size: int, activation: str | None = None, **arguments: Any) -> Config:
    model = {"recurrent_unit": unit, "hidden_size": hidden_size, "rnn_args": arguments}
    return {"model": {**model, "activation": activation and f"functional_{activation}"}}


def maze(command: str = "--type stpn --hs 6", **stp: Any) -> Config:
    return {"command": {"train": f"python maze.py {command}"}, "stp": STP | stp}


def stpn(unit: str = "STPNr", hidden_size: int = 11, **stp: Any) -> Config:
    return retrieval(unit, hidden_size, "tanh", stp=STP | stp)


def options(config: Config, **how: Any) -> Config:
    return stpn_swift.from_published_config(config, **how).config


SCALAR: Config = {"learn_plastic_weight_params_dims": []}
NETWORKS = {
    "stpnr": stpn(),
    "stpnr_scalar": stpn("STPNr", 20, **SCALAR),
    "stpnf": stpn("STPNf", 13),
    "stpnf_scalar": stpn("STPNf", 26, **SCALAR),
    "hebbff": retrieval("HebbFF", 26, "sigmoid", stp=STP | SCALAR | {"plasticity_type_kwargs": {}}),
    "fast_weights": retrieval("FastWeights", 20, stp=FAST_STP, S=1, activation="tanh"),
    "modulated": retrieval("MODPLAST", 17, **MODPLAST),
    "lstm": retrieval("LSTM", 9),
    "rnn": retrieval("RNN", 20),
}


def test_a_configuration_of_retrieval() -> None:
    config = stpn() | {
        "training": {
            "optimizer": "Adam",
            "optimizer_args": {"lr": 0.001},
            "epochs": 50,
            "convergence_args": {"max_epochs": 200},
        },
        "data": {"dict_size": 37, "num_keys": 3, "batch_size": 128},
    }
    model = stpn_swift.from_published_config(config)
    assert (model.variant, model.unit, model.squashed, model.fixed) == ("published", "STPNr", False, {})
    assert model.training == {"epochs": 200, "lr": 0.001, "batch": 128}
    cell = stpn_swift.cell_from_config(model.config)
    usual = stpn_swift.STPNR(37, 11, presynaptic="current")
    assert cell.config == usual.config
    assert set(model.ignored) == {
        "training.epochs has no effect",
        "data.num_keys has no effect",
        "model.rnn_args.stp.plasticity_type_kwargs.weight_norm.ord has no effect",
    }


def test_a_configuration_of_the_maze() -> None:
    config = maze(
        "--type stpn --hs 55 --bs 512 --eplen=200 --lr 1e-4 --rngseed 3", plastic_weight_clamp_val=1
    )
    model = stpn_swift.from_published_config(config)
    assert model.training == {"batch": 512, "episode_length": 200, "lr": 1e-4}
    assert stpn_swift.cell_from_config(model.config).config == stpn_swift.STPNR(17, 55, clamp=1.0).config
    assert "command.train.--rngseed has no effect" in model.ignored
    config["command"]["train"] = config["command"]["train"].split()
    assert stpn_swift.from_published_config(config) == model


MAZE_UNITS = {"stpn": "stpn", "stplinear": "stpn", "modplast": "modulated", "lstm": "lstm", "rnn": "rnn"}


@pytest.mark.parametrize("unit", MAZE_UNITS)
def test_networks_of_the_maze(unit: str) -> None:
    model = stpn_swift.from_published_config(maze(f"--type {unit} --hs 6"))
    sizes = {"cell": MAZE_UNITS[unit], "input_size": 17, "hidden_size": 6}
    assert model.config.items() >= sizes.items()
    assert not model.squashed
    if unit == "stplinear":
        assert (model.config["normalize"], model.config["bias"]) == ("output", False)


def test_a_configuration_as_text_and_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(stpn()))
    model = stpn_swift.from_published_config(stpn())
    assert stpn_swift.from_published_config(path) == model
    assert stpn_swift.from_published_config(path.read_text()) == model


def test_the_input_size() -> None:
    assert options(stpn())["input_size"] == 37
    assert options(stpn() | {"data": {"dict_size": 20}})["input_size"] == 20
    assert options(stpn() | {"data": {"dict_size": 20}}, input_size=5)["input_size"] == 5


NORMS = "plasticity_type_kwargs"

MEANINGS: list[tuple[Config, Config]] = [
    ({"learn_plastic_weight_params_dims": [0, 1]}, {"plasticity_shape": "synapse"}),
    ({"learn_plastic_weight_params_dims": []}, {"plasticity_shape": "scalar"}),
    ({"learn_plastic_weight_params_dims": None}, {"plasticity_shape": "scalar"}),
    ({"learn_plastic_weight_params_dims": [1]}, {"plasticity_shape": "presynaptic"}),
    ({"plastic_weight_clamp_val": 0.5}, {"clamp": 0.5}),
    ({"plastic_weight_connections": "hidden"}, {"plastic": "hidden"}),
    ({"plasticity_type": {"weight": "stp_prompt_decay"}}, {"decay": "prompt"}),
    ({"plasticity_rule": "oja"}, {"rule": "oja"}),
    ({"plastic_bias": True}, {"plastic_bias": True}),
    ({NORMS: {}}, {"normalize": None}),
    ({NORMS: {"weight_norm": {}}}, {"normalize": "output", "norm_axis": "neuron", "norm_gain": False}),
    ({NORMS: PRE}, {"normalize": "pre"}),
    (
        {NORMS: PRE | {"weight_norm": {"dim": [1, 2], "learn": True}}},
        {"norm_axis": "layer", "norm_gain": True},
    ),
    ({NORMS: PRE | {"plastic_weight_norm": {"time": "post", "norm": "G"}}}, {"normalize": "post"}),
    ({NORMS: {"plastic_weight_norm": {"time": "pre"}}}, {"normalize": None}),
]


@pytest.mark.parametrize(("stp", "expected"), MEANINGS, ids=str)
def test_what_entries_mean(stp: Config, expected: Config) -> None:
    config = options(stpn(**stp))
    assert config.items() >= expected.items()
    stpn_swift.cell_from_config(config)


def test_an_absent_clamp_is_1000() -> None:
    config = stpn()
    del config["model"]["rnn_args"]["stp"]["plastic_weight_clamp_val"]
    assert options(config)["clamp"] == 1000


def test_rates_that_are_not_learned() -> None:
    model = stpn_swift.from_published_config(stpn(**FAST_STP))
    assert model.fixed == {"weight_lambda": 0.9, "weight_gamma": 0.5}
    assert model.config["plasticity_shape"] == "scalar"


@pytest.mark.parametrize(
    ("weighting", "low", "high"),
    [(None, -0.5, 1.5), ("both", 0.25, 0.75), ("below", 0, 0.5), ("above", 0.5, 1)],
)
def test_initial_values(weighting: str | None, low: float, high: float) -> None:
    """k is 1/4."""
    drawn = {"mode": "uniform", "mean": 0.5, "spread": 1, "hidden_weighting": weighting}
    for unit in ("STPNr", "STPNf"):
        config = stpn(unit, 16, plastic_weights_init_config={"weight_lambda": drawn, "bias_lambda": drawn})
        model = stpn_swift.from_published_config(config, input_size=16)
        assert model.initial == {"weight_lambda": (low, high)}
        assert "model.rnn_args.stp.plastic_weights_init_config.bias_lambda has no effect" in model.ignored


REFUSED: list[tuple[Config, str]] = [
    (
        stpn(learn_plastic_weight_params_dims=[0]),
        r'stp\.learn_plastic_weight_params_dims: expected \[0, 1\] .*, got \[0\], .*"neuron"',
    ),
    (
        stpn(plasticity_type={"weight": "stp_weight_dependent"}),
        r'plasticity_type\.weight: expected "stp" .*, got \'stp_weight_dependent\', .*never implemented',
    ),
    (
        stpn(plasticity_type_kwargs={"weight_norm": {"dim": 1}}),
        r"weight_norm\.dim: expected 2 or \[1, 2\], got 1",
    ),
    (
        stpn(plasticity_type_kwargs=PRE | {"plastic_weight_norm": {"time": "post", "norm": "F"}}),
        r'plastic_weight_norm\.norm: expected "G", got \'F\'',
    ),
    (
        stpn(plasticity_type_kwargs={"plastic_weight_norm": {"time": "post"}}),
        r"weight_norm: expected an object .*\"post\"",
    ),
    (stpn(plasticity_type_kwargs={"plastic_weight_norm": {}}), r"time: expected .*, got no such entry"),
    (stpn("STPNf", plastic_weight_connections="hidden"), r'connections: expected "all" or "input", got'),
    (stpn(plasticity_rule={}), r"plasticity_rule: expected .*, got {}"),
    (stpn(plastic_weight_clamp_val="1"), r"plastic_weight_clamp_val: expected a number, got '1'"),
    (stpn(plastic_weight_clamp_val=-1), r"plastic_weight_clamp_val: expected null or .*, got -1"),
    (stpn(plastic_weight_clamp_val=10**400), r"plastic_weight_clamp_val: expected a number, got 1000"),
    (stpn(plastic_bias="no"), r"plastic_bias: expected true or false, got 'no'"),
    (stpn(plastic_bias=True, learn_plastic_bias_params=False), r"learn_plastic_bias_params: expected true"),
    (stpn(plasticity_type=[]), r"plasticity_type: expected an object, got \[\]"),
    (
        stpn(plastic_weights_init_config={"weight_gamma": {"mode": "normal"}}),
        r'weight_gamma\.mode: expected "uniform", got \'normal\'',
    ),
    (retrieval("STPNr", 11), r'model\.activation: expected "functional_tanh" or .*, got None'),
    (retrieval("GRU", 11), r'model\.recurrent_unit: expected "STPNr" or .*, got \'GRU\''),
    (retrieval("RNN", 0), r"model\.hidden_size: expected an integer of 1 or more, got 0"),
    (retrieval("LSTM", 9, layer_norm=True), r"model\.rnn_args\.layer_norm: expected false, got True"),
    (retrieval("MODPLAST", 9, NBDA=2), r"model\.rnn_args\.NBDA: expected 1, got 2"),
    (
        retrieval("HebbFF", 9, "sigmoid", stp=STP | SCALAR),
        r"weight_norm: expected no such entry, got {'ord': 2}",
    ),
    (
        retrieval("FastWeights", 9, stp=FAST_STP | {"learn_plastic_weight_params": True}),
        r"learn_plastic_weight_params: expected false, got True, .*updated twice",
    ),
    (
        retrieval("FastWeights", 9, stp=FAST_STP | {"plastic_weight_clamp_val": 1}),
        r"plastic_weight_clamp_val: expected null or 1000, got 1",
    ),
    (stpn() | {"training": {"optimizer": "SGD"}}, r'training\.optimizer: expected "Adam", got \'SGD\''),
    (maze("--hs 6"), r"command\.train\.--type: expected .*, got no such entry"),
    (maze("--type stpn --hs six"), r"command\.train\.--hs: expected an integer .*, got 'six'"),
    ({"command": {"train": 7}}, r"command\.train: expected an object, got 7"),
    ({"model": 7}, r"model: expected an object, got 7"),
    ({"net": {}}, r"config: expected an entry 'model' .* or 'command' .*, got \['net'\]"),
]


@pytest.mark.parametrize(("config", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_refused(config: Config, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stpn_swift.from_published_config(config)


def test_what_is_no_configuration() -> None:
    with pytest.raises(
        ValueError, match=r"config: expected JSON or a pathlib\.Path, got text that is no JSON"
    ):
        stpn_swift.from_published_config("stpnr.json")
    with pytest.raises(TypeError, match="config: expected a dict, JSON or a path, got list"):
        stpn_swift.from_published_config("[]")
    with pytest.raises(ValueError, match="input_size: expected an integer of 1 or more, got 0"):
        stpn_swift.from_published_config(stpn(), input_size=0)
    with pytest.raises(ValueError, match='variant: expected "published" or "paper", got \'other\''):
        stpn_swift.from_published_config(stpn(), variant="other")  # type: ignore[arg-type]


def test_json_that_an_editor_marks_as_utf_8(tmp_path: Path) -> None:
    path, expected = tmp_path / "marked.json", stpn_swift.from_published_config(stpn())
    path.write_text(json.dumps(stpn()), encoding="utf-8-sig")
    assert stpn_swift.from_published_config(path) == expected
    assert stpn_swift.from_published_config(path.read_text(encoding="utf-8")) == expected


def test_the_variants() -> None:
    """Section 6 of docs/cells.md."""
    paper: Config = {"variant": "paper"}
    assert options(stpn())["presynaptic"] == "current" and "presynaptic" not in options(stpn(), **paper)
    quirky = options(stpn("STPNf"))
    assert (quirky["normalize"], quirky["bias"]) == ("output", False)
    plain = options(stpn("STPNf"), **paper)
    assert (plain["normalize"], plain["bias"]) == ("pre", True)
    assert options(stpn("STPNf", plasticity_type_kwargs={}))["bias"]
    for name in ("stpnf", "hebbff"):
        assert stpn_swift.from_published_config(NETWORKS[name]).squashed
        assert not stpn_swift.from_published_config(NETWORKS[name], **paper).squashed
    fast = stpn_swift.from_published_config(NETWORKS["fast_weights"])
    assert fast.fixed == pytest.approx({"weight_lambda": 0.81, "weight_gamma": 0.95}, rel=1e-15)
    assert fast.initial == dict.fromkeys(("layer_norm.weight", "layer_norm.bias"), (-(20**-0.5), 20**-0.5))
    fast = stpn_swift.from_published_config(NETWORKS["fast_weights"], **paper)
    assert (fast.fixed, fast.initial) == ({"weight_lambda": 0.9, "weight_gamma": 0.5}, {})
