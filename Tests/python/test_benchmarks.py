"""The benchmarks time nothing that is wrong, and say what they measured."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import stpn_swift

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`python -m benchmarks` as a module, with rows small enough for a test, and nothing compiled to C++."""
    torch = pytest.importorskip("torch")
    threads, torch_threads = stpn_swift.get_num_threads(), torch.get_num_threads()
    monkeypatch.syspath_prepend(ROOT)
    module = importlib.import_module("benchmarks.__main__")
    set_rows(monkeypatch, ("training step", "STPNR pre", 3, 5, 7, 4), ("forward", "HebbFF", 2, 3, 1, 1))
    monkeypatch.setattr(importlib.import_module("benchmarks.peers"), "BACKEND", "eager")
    measure = importlib.import_module("benchmarks.measure")
    monkeypatch.setattr(measure, "MIN_TURNS", 2)
    monkeypatch.setattr(measure, "PAUSE", 0)
    yield module
    stpn_swift.set_num_threads(threads)
    torch.set_num_threads(torch_threads)


def set_rows(monkeypatch: pytest.MonkeyPatch, *rows: tuple[Any, ...]) -> None:
    row = importlib.import_module("benchmarks.rows").Row
    module = importlib.import_module("benchmarks.__main__")
    monkeypatch.setattr(module, "ROWS", tuple(row(*arguments) for arguments in rows))


def run(command: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--threads", "1", "--seconds", "0", *arguments])
    status: int = command.main()
    return status


def add_wrong_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = importlib.import_module("benchmarks.peers")

    class WrongPeer(peers.NumPyPeer):  # type: ignore[misc, name-defined]
        def train(self) -> dict[str, Any]:
            results: dict[str, Any] = super().train()
            results["weight_gamma"][0, 0] += 1e-3
            return results

    monkeypatch.setitem(peers.PEERS, "wrong", WrongPeer)


def test_all_peers_compute_the_same_with_every_cell(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = importlib.import_module("benchmarks.rows").CELLS
    assert {row.cell for row in importlib.import_module("benchmarks.rows").ROWS} == cells.keys()
    set_rows(monkeypatch, *(("training step", cell, 3, 5, 7, 4) for cell in cells))
    assert run(command, monkeypatch) == 0


def test_wrong_results_are_not_timed(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_wrong_peer(monkeypatch)
    results = tmp_path / "results.json"
    assert run(command, monkeypatch, "--json", str(results)) == 1
    output = capsys.readouterr()
    assert "wrong, float64: weight_gamma is off by" in output.err
    assert "training step" not in output.out
    assert {entry["row"] for entry in json.loads(results.read_text())["results"]} == {
        "forward HebbFF B 2 I 3 H 1 T 1"
    }


def test_results_to_compare_with_are_checked(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"format": 99}')
    assert run(command, monkeypatch, "--compare", str(other)) == 2
    assert "expected format 1, got 99" in capsys.readouterr().err
    assert run(command, monkeypatch, "--compare", str(tmp_path / "none.json")) == 2


def test_results_are_reported_written_and_compared(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    results = tmp_path / "results.json"
    assert run(command, monkeypatch, "--json", str(results)) == 0
    written = json.loads(results.read_text())
    peers = importlib.import_module("benchmarks.peers").PEERS
    assert len(written["results"]) == 2 * len(peers)
    assert all(0 < e["first_quartile"] <= e["median"] <= e["third_quartile"] for e in written["results"])
    assert {"machine", "cores", "torch", "stpn_swift", "implementation"} <= written.keys()

    capsys.readouterr()
    assert run(command, monkeypatch, "--compare", str(results), "--only", "forward") == 0
    output = capsys.readouterr().out
    assert output.count("→") == len(peers)
    assert "training step" not in output


def test_rows_and_peers_can_be_left_out(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command, monkeypatch, "--only", "forward", "--without", "bmm", "NumPy", "--unroll", "0") == 0
    lines = capsys.readouterr().out.splitlines()
    measured = [line.split("  ")[1] for line in lines if " calls" in line]
    assert measured == ["stpn_swift, PyTorch", "eager PyTorch", "compiled PyTorch, step"]
    assert run(command, monkeypatch, "--only", "no such row") == 2


def test_ratios_are_those_of_the_fastest_of_each_family(command: ModuleType) -> None:
    report = importlib.import_module("benchmarks.report")
    medians = {"ours, a": 2.0, "ours, b": 4.0, "eager": 20.0, "compiled, step": 9.0, "compiled, loop": 8.0}
    entries = [{"row": "r", "threads": 2, "peer": peer, "median": t} for peer, t in medians.items()]
    assert [*report.ratios(entries)] == ["r, threads 2: ours 2.000 ms   eager x10.00   compiled x4.00"]
