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
    """`python -m benchmarks` as a module, with rows small enough for a test."""
    torch = pytest.importorskip("torch")
    threads, torch_threads = stpn_swift.get_num_threads(), torch.get_num_threads()
    monkeypatch.syspath_prepend(ROOT)
    module = importlib.import_module("benchmarks.__main__")
    row = importlib.import_module("benchmarks.rows").Row
    monkeypatch.setattr(module, "ROWS", (row("training step", 3, 5, 7, 4), row("forward", 2, 3, 1, 1)))
    yield module
    stpn_swift.set_num_threads(threads)
    torch.set_num_threads(torch_threads)


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


def test_wrong_results_are_not_timed(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add_wrong_peer(monkeypatch)
    assert run(command, monkeypatch, "--json", str(tmp_path / "results.json")) == 1
    output = capsys.readouterr()
    assert "wrong, float64: weight_gamma is off by" in output.err
    assert " ms " not in output.out
    assert not (tmp_path / "results.json").exists()


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
