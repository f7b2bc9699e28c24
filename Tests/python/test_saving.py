"""Cells and networks in files."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stpn_swift
from stpn_swift import checkpoint, saving
from variants import CONFIGS, make

pytest.importorskip("safetensors")


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def same(params: Any, others: Any) -> bool:
    return params.keys() == others.keys() and all(
        np.array_equal(params[name], others[name]) for name in params
    )


@pytest.mark.parametrize("variant", CONFIGS)
def test_a_cell(variant: str, dtype: str) -> None:
    cell = make(variant, 3, 4, dtype=dtype)
    cell.params = {name: np.asarray(array, order="F") for name, array in cell.params.items()}
    stpn_swift.save(cell, "cell.safetensors")
    again = stpn_swift.load(Path("cell.safetensors"))
    assert (type(again), again.config, again.dtype) == (type(cell), cell.config, cell.dtype)
    assert same(again.params, cell.params)
    assert os.listdir() == ["cell.safetensors"]


def test_a_cell_that_is_not_whole_is_not_written() -> None:
    cell = make("stpnr", 3, 4)
    stpn_swift.save(cell, "cell")
    before = Path("cell").read_bytes()
    cell.params["bias"] = np.zeros(5)
    with pytest.raises(ValueError, match=r"bias: expected float64\[4\], got float64\[5\]"):
        stpn_swift.save(cell, "cell")
    assert Path("cell").read_bytes() == before


def test_files_that_hold_no_cell() -> None:
    cell = make("stpnr", 3, 4)
    with pytest.raises(FileNotFoundError, match="absent"):
        stpn_swift.load("absent")
    Path("text").write_text("no cell")
    with pytest.raises(ValueError, match="text is damaged"):
        stpn_swift.load("text")
    stpn_swift.save(cell, "cell")
    content = Path("cell").read_bytes()
    Path("cell").write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ValueError, match=r"cell is damaged \(wrong checksum\)"):
        stpn_swift.load("cell")
    checkpoint.save(Path("other"), cell.params, {}, "another format")
    with pytest.raises(
        ValueError, match="expected a file of the format 'stpn_swift cells 1', got 'another format'"
    ):
        stpn_swift.load("other")
    saving.write("wrong", {**cell.params, "bias": np.zeros(7)}, {"": cell.config})
    with pytest.raises(ValueError, match=r"bias: expected float64\[4\], got float64\[7\]"):
        stpn_swift.load("wrong")
    saving.write("network", cell.params, {"a": cell.config, "b": cell.config})
    with pytest.raises(ValueError, match=r"expected a single cell, got a network with cells at \['a', 'b'\]"):
        stpn_swift.load("network")


def test_files_that_claim_something_else() -> None:
    cell = make("stpnr", 3, 4)
    config = cell.config
    cases: list[tuple[dict[str, Any], Any, str]] = [
        ({"cells": [config]}, cell.params, "expected the configs of cells"),
        ({"cells": {"": 1}}, cell.params, "expected the configs of cells"),
        ({}, cell.params, "expected the configs of cells"),
        ({"cells": {"": config}, "fixed": ["b"]}, cell.params, r"names of its arrays for fixed, got \['b'\]"),
        ({"cells": {"": config}, "fixed": 1}, cell.params, "names of its arrays for fixed, got 1"),
        ({"cells": {"": {**config, "clmp": 1}}}, cell.params, "expected the config of a cell: clmp"),
        ({"cells": {"": {"cell": "stpn"}}}, cell.params, "expected the config of a cell: .*input_size"),
        ({"cells": {"": config}}, {}, r"expected float32\[.*got no such array"),
        (
            {"cells": {"": {**config, "hidden_size": 10**6}}},
            cell.params,
            r"bias: expected float64\[1000000\]",
        ),
    ]
    for record, arrays, message in cases:
        checkpoint.save(Path("claims"), arrays, record, saving.FORMAT)
        with pytest.raises(ValueError, match=message):
            stpn_swift.load("claims")


def test_without_safetensors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    with pytest.raises(ModuleNotFoundError, match="pip install safetensors"):
        stpn_swift.load("cell")


def test_numpy_and_torch_read_each_others_files() -> None:
    torch = pytest.importorskip("torch")
    import stpn_swift.torch

    for variant in CONFIGS:
        cell = make(variant, 3, 4)
        stpn_swift.save(cell, "numpy")
        module = stpn_swift.torch.load("numpy")
        assert (module.config, next(module.parameters()).dtype) == (cell.config, torch.float64)
        assert same({name: p.detach().numpy() for name, p in module.named_parameters()}, cell.params)
        stpn_swift.torch.save(module, "torch")
        assert same(stpn_swift.load("torch").params, cell.params)


def test_a_network() -> None:
    torch = pytest.importorskip("torch")
    import stpn_swift.torch

    def network(clamp: float | None = None, classes: int = 5) -> Any:
        cells = [stpn_swift.torch.STPNR(3, 4, clamp=clamp), stpn_swift.torch.HebbFF(4, 4)]
        return torch.nn.ModuleDict(
            {"cells": torch.nn.ModuleList(cells), "readout": torch.nn.Linear(4, classes)}
        )

    one, other = network(), network()
    stpn_swift.torch.save(one, "network")
    assert stpn_swift.torch.load("network", into=other) is other
    assert same(dict(one.state_dict()), dict(other.state_dict()))
    with pytest.raises(
        ValueError, match=r"expected a single cell, got a network with cells at \['cells.0', "
    ):
        stpn_swift.torch.load("network")
    with pytest.raises(ValueError, match=r"readout\.bias: expected float32\[6\], got float32\[5\]"):
        stpn_swift.torch.load("network", into=network(classes=6))
    different = network(clamp=0.5)
    before = {name: t.clone() for name, t in different.state_dict().items()}
    with pytest.raises(ValueError, match=r"network: expected a network with the cells .*'clamp': 0\.5"):
        stpn_swift.torch.load("network", into=different)
    assert same(before, dict(different.state_dict()))
    with pytest.raises(
        TypeError, match=r"readout\.weight: expected a dtype that NumPy has, got torch.bfloat16"
    ):
        stpn_swift.torch.save(torch.nn.ModuleDict({"readout": one["readout"].bfloat16()}), "half")


def test_what_is_not_learned_stays_so() -> None:
    torch = pytest.importorskip("torch")
    import stpn_swift.torch

    def network() -> Any:
        return torch.nn.ModuleDict({"cell": stpn_swift.torch.FastWeights(3, 4)})

    one = network()
    one["cell"].weight_lambda.requires_grad_(False)
    stpn_swift.torch.save(one, "network")
    stpn_swift.torch.save(one["cell"], "cell")
    again = {"network": stpn_swift.torch.load("network", into=network())["cell"]}
    again["cell"] = stpn_swift.torch.load("cell")
    for cell in again.values():
        assert [name for name, p in cell.named_parameters() if not p.requires_grad] == ["weight_lambda"]
    assert same(
        stpn_swift.load("cell").params, {name: p.detach() for name, p in one["cell"].named_parameters()}
    )

    params = make("stpnr", 3, 4).params
    checkpoint.save(Path("earlier"), params, {"cells": {"": make("stpnr", 3, 4).config}}, saving.FORMAT)
    assert all(p.requires_grad for p in stpn_swift.torch.load("earlier").parameters())


def test_a_squashed_cell() -> None:
    torch = pytest.importorskip("torch")
    import stpn_swift.torch

    config = {"cell": "hebbff", "input_size": 3, "hidden_size": 4, "squashed": True}
    cell = stpn_swift.torch.cell_from_config(config)
    stpn_swift.torch.save(cell, "squashed")
    again = stpn_swift.torch.load("squashed")
    x = torch.randn(2, 5, 3)
    assert (type(again), again.config) == (type(cell), cell.config)
    assert torch.equal(again(x)[0], cell(x)[0])
    with pytest.raises(
        ValueError, match=r"squashed: expected a cell of the kernel, .* stpn_swift\.torch\.load"
    ):
        stpn_swift.load("squashed")
