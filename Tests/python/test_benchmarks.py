"""The benchmarks time nothing that is wrong, and say what they measured."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import stpn_swift

ROOT = Path(__file__).resolve().parents[2]


def part(name: str) -> ModuleType:
    """A module of the benchmarks; `command` makes them known."""
    return importlib.import_module(f"benchmarks.{name}")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`python -m benchmarks` as a module, with rows small enough for a test, nothing compiled to C++, limits
    that are made up, and without JAX."""
    torch = pytest.importorskip("torch")
    threads, torch_threads = stpn_swift.get_num_threads(), torch.get_num_threads()
    monkeypatch.syspath_prepend(ROOT)
    module = part("__main__")
    set_rows(monkeypatch, ("training step", "STPNR pre", 3, 5, 7, 4), ("forward", "HebbFF", 2, 3, 1, 1))
    limits = part("limits").Limits
    monkeypatch.setattr(module, "measure_limits", lambda threads: limits(threads, 1e11, 1e10))
    peers = part("peers")
    monkeypatch.setattr(peers, "BACKEND", "eager")
    for table in (peers.PEERS, part("networks").NETWORKS):
        for name in [name for name in table if "JAX" in name]:
            monkeypatch.delitem(table, name)
    measure = part("measure")
    monkeypatch.setattr(measure, "MIN_TURNS", 2)
    monkeypatch.setattr(measure, "PAUSE", 0)
    monkeypatch.setattr(measure, "TURN", 0)
    yield module
    stpn_swift.set_num_threads(threads)
    torch.set_num_threads(torch_threads)


def set_rows(monkeypatch: pytest.MonkeyPatch, *rows: tuple[Any, ...]) -> None:
    row = part("rows").Row
    module = part("__main__")
    monkeypatch.setattr(module, "ROWS", tuple(row(*arguments) for arguments in rows))


def run(command: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--threads", "1", "--seconds", "0", *arguments])
    status: int = command.main()
    return status


def add_wrong_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    peers = part("peers")

    class WrongPeer(peers.NumPyPeer):  # type: ignore[misc, name-defined]
        def train(self) -> dict[str, Any]:
            results: dict[str, Any] = super().train()
            results["weight_gamma"][0, 0] += 1e-3
            return results

        def step(self) -> tuple[Any, dict[str, Any]]:
            y, state = super().step()
            return y + 1e-3, state

    monkeypatch.setitem(peers.PEERS, "wrong", WrongPeer)


def made_up(times: dict[tuple[str, int, str], dict[str, float]]) -> Any:
    """Results of a run, by row, threads and peer."""
    results = part("results").Results({})
    for (row, threads, peer), numbers in times.items():
        results.times.append({"row": row, "threads": threads, "peer": peer, **numbers})
    return results


def test_all_peers_compute_the_same_with_every_cell(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = part("rows").CELLS
    assert {row.cell for row in part("rows").ROWS} == cells.keys()
    set_rows(monkeypatch, *(("training step", cell, 3, 5, 7, 4) for cell in cells))
    assert run(command, monkeypatch) == 0


def test_networks_learn_the_same(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = part("networks")
    assert networks.NETWORKS.keys() == part("peers").PEERS.keys()
    set_rows(monkeypatch, ("update", "STPNR pre", 3, 5, 7, 4), ("update", "STPNF pre", 3, 5, 7, 4, "float64"))
    assert run(command, monkeypatch) == 0
    output = capsys.readouterr().out
    assert output.count("threads 1: stpn_swift, NumPy") == 2
    assert output.count("threads 1: stpn_swift, ") == 4  # again within PyTorch

    class FasterNetwork(networks.NumPyNetwork):  # type: ignore[misc, name-defined]
        def update(self) -> dict[str, Any]:
            self.optimizer.lr = 1.01e-3
            results: dict[str, Any] = super().update()
            return results

    monkeypatch.setitem(networks.NETWORKS, "faster", FasterNetwork)
    assert run(command, monkeypatch) == 1
    assert "faster, float64: loss is off by" in capsys.readouterr().err


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
    peers = part("peers").PEERS
    assert len(written["results"]) == 2 * len(peers)
    assert all(0 < e["first_quartile"] <= e["median"] <= e["third_quartile"] for e in written["results"])
    assert all(e["first_result"] > 0 for e in written["results"])
    assert {e["peer"] for e in written["results"] if "bandwidth" in e} == {
        "stpn_swift, NumPy",
        "stpn_swift, PyTorch",
        "stpn_swift, compiled PyTorch",
    }
    assert written["limits"] == [{"threads": 1, "multiply_adds": 1e11, "bytes_read": 1e10}]
    assert {"machine", "cores", "torch", "jax", "stpn_swift", "implementation"} <= written.keys()

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
    assert measured == [
        "stpn_swift, PyTorch",
        "stpn_swift, compiled PyTorch",
        "eager PyTorch",
        "compiled PyTorch, step",
    ]
    assert run(command, monkeypatch, "--only", "no such row") == 2


def test_ratios_are_those_of_the_fastest_of_each_family(command: ModuleType) -> None:
    medians = {"ours, a": 2.0, "ours, b": 4.0, "eager": 20.0, "compiled, step": 9.0, "compiled, loop": 0.8}
    results = made_up({("r", 2, peer): {"median": median} for peer, median in medians.items()})
    assert [*part("report").ratios(results)] == [
        "r, threads 2: ours, a 2.00 ms   eager x10.00   compiled, loop x0.40"
    ]


def test_steps_other_precisions_and_sequences_of_one_step_are_checked_too(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows: list[tuple[Any, ...]] = [
        ("single step", "STPNR pre", 3, 5, 7, 1),
        ("single step", "STPNF pre", 3, 5, 7, 1),
        ("training step", "STPNR pre", 3, 5, 7, 4, "float64"),
        ("training step", "STPNR pre", 3, 5, 7, 1),
    ]
    set_rows(monkeypatch, *rows)
    assert run(command, monkeypatch) == 0
    assert "training step STPNR pre B 3 I 5 H 7 T 4 float64, threads 1" in capsys.readouterr().out

    add_wrong_peer(monkeypatch)
    assert run(command, monkeypatch, "--only", "single step STPNR") == 1
    assert "wrong, float64: y is off by" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name, rows",
    [
        (
            "JaxPeer",
            [
                ("forward", "STPNR pre", 3, 5, 7, 4),
                ("single step", "STPNR post", 3, 5, 7, 1),
                ("training step", "STPNF none, scalar", 3, 5, 7, 4),
                ("forward", "HebbFF", 3, 5, 7, 4),
                ("training step", "FastWeights", 3, 5, 7, 4),
                ("forward", "Modulated", 3, 5, 7, 4),
            ],
        ),
        ("CheckpointedJaxPeer", [("training step", "STPNR pre", 3, 5, 7, 4)]),
        ("CallbackPeer", [("training step", "STPNR pre", 3, 5, 7, 4), ("single step", "HebbFF", 2, 3, 1, 1)]),
    ],
)
def test_jax_computes_the_same(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str, rows: list[tuple[Any, ...]]
) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: pip install '.[bench]'")
    monkeypatch.setitem(part("peers").PEERS, "JAX", getattr(part("jax_peer"), name))
    set_rows(monkeypatch, *rows)
    assert run(command, monkeypatch, "--without", "stpn_swift", "PyTorch") == 0


def test_networks_in_jax_learn_the_same(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax", reason="JAX is not installed: pip install '.[bench]'")
    by_callback = partial(part("jax_peer").by_kernel, backend="callback")
    for name, cell in (("JAX", part("jax_peer").scanned), ("ours in JAX", by_callback)):
        network = partial(part("jax_network").JaxNetwork, cell)
        monkeypatch.setitem(part("networks").NETWORKS, name, network)
    set_rows(monkeypatch, ("update", "STPNR pre", 3, 5, 7, 4))
    assert run(command, monkeypatch, "--without", "stpn_swift", "PyTorch") == 0


def test_a_missing_jax_is_said(command: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    report = part("report")
    monkeypatch.setattr(report, "JAX", False)
    assert "jax             not installed, left out" in report.header(report.environment())


def test_implementations_can_be_compared(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--only", "forward", "--without", "PyTorch")
    assert run(command, monkeypatch, *arguments, "--isa", "baseline") == 0
    assert "   stpn_swift on baseline x" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(command, monkeypatch, *arguments, "--isa", "abacus")


def test_a_number_of_threads_is_one_of_cores_and_for_a_while(command: ModuleType) -> None:
    limited = part("measure").limited
    cores = os.sched_getaffinity(0)
    with limited(1):
        assert len(os.sched_getaffinity(0)) == stpn_swift.get_num_threads() == 1
    assert os.sched_getaffinity(0) == cores


def test_limits_are_measured_where_they_are_compiled(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    limits = part("limits")
    monkeypatch.setattr(limits, "PROGRAM", tmp_path / "limits")
    assert limits.measure_limits(1) is None
    assert "left out" in part("report").limits_line(1, None)

    if not (compiler := shutil.which("cc")):
        pytest.skip("there is no C compiler")
    source = ROOT / "benchmarks" / "limits.c"
    subprocess.run([compiler, "-std=gnu11", "-O2", "-pthread", source, "-o", limits.PROGRAM], check=True)
    measured = limits.measure_limits(1)
    assert measured.multiply_adds > 1e6 and measured.bytes_read > 1e6
    assert subprocess.run([limits.PROGRAM, "0"], capture_output=True).returncode != 0


def test_multiply_adds_are_those_of_synapses_and_steps(command: ModuleType) -> None:
    limits, row = part("limits"), part("rows").Row
    synapses = 2 * 5 * (3 + 5)  # B, H, K
    assert limits.multiply_adds(row("forward", "STPNR pre", 2, 3, 5, 4)) == (synapses * 4 * 6, 0)
    assert limits.multiply_adds(row("training step", "STPNR pre", 2, 3, 5, 1)) == (synapses * 6, synapses * 6)
    one, two, three = (limits.multiply_adds(row("training step", "HebbFF", 2, 3, 5, T))[1] for T in (1, 2, 3))
    assert one == 2 * 5 * 3 * 4
    assert two - one == three - two == 2 * 5 * 3 * (4 + 3 + 5)
    assert limits.multiply_adds(row("forward", "Modulated", 2, 3, 5, 4)) is None


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bytes_are_those_of_the_arrays(command: ModuleType, dtype: str) -> None:
    limits, row = part("limits"), part("rows").Row
    cell = stpn_swift.STPNR(3, 5, dtype=dtype)
    x = np.ones((2, 4, 3), dtype)
    y, state, tape = cell.forward(x)
    forward = [x, y, *state.values(), *cell.params.values()]
    bytes_forward = sum(array.nbytes for array in forward)
    assert limits.bytes_moved(row("forward", "STPNR pre", 2, 3, 5, 4, dtype)) == bytes_forward

    tape_bytes = 2 * tape.nbytes
    grads = cell.backward(tape, y)
    backward = [y, grads.x, *grads.state.values(), *grads.params.values()]
    bytes_back = sum(array.nbytes for array in backward)
    training = row("training step", "STPNR pre", 2, 3, 5, 4, dtype)
    assert limits.bytes_moved(training) == bytes_forward + tape_bytes + bytes_back


def test_shares_are_of_the_limits(command: ModuleType) -> None:
    limits, row = part("limits"), part("rows").Row
    forward = row("forward", "STPNR pre", 2, 3, 5, 4)
    count, moved = limits.multiply_adds(forward)[0], limits.bytes_moved(forward)
    machine = limits.Limits(1, multiply_adds=count * 1000.0, bytes_read=moved * 100.0)
    assert limits.shares(forward, 2.0, machine) == pytest.approx({"multiply_adds": 0.5, "bandwidth": 5.0})


def test_memory_is_that_of_a_training_step(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    set_rows(monkeypatch, ("training step", "STPNR pre", 64, 17, 55, 20), ("forward", "HebbFF", 2, 3, 1, 1))
    path = tmp_path / "results.json"
    arguments = (
        "--untimed",
        "--memory",
        "--only",
        "B 64",
        "--without",
        "compiled",
        "bmm",
        "stpn_swift, PyTorch",
    )
    assert run(command, monkeypatch, *arguments, "--json", str(path)) == 0
    ours, eager = json.loads(path.read_text())["memory"]
    every_F = 64 * 55 * (17 + 55) * 20 * 4
    assert eager["bytes"] > every_F > ours["bytes"] > 0
    assert capsys.readouterr().out.count("beyond inputs and outputs") == 2


def test_what_may_need_too_much_memory_is_not_measured(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(part("memory"), "PART", 0)
    assert run(command, monkeypatch, "--untimed", "--memory", "--only", "B 3 ", "--without", "NumPy") == 0
    assert "eager PyTorch               beyond inputs and outputs: not measured" in capsys.readouterr().out


def test_calls_are_timed_beside_a_busy_neighbour(
    command: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    neighbour = part("neighbour")
    row = part("rows").Row
    monkeypatch.setattr(neighbour, "START", 0)
    monkeypatch.setattr(neighbour, "ROWS", (row("single step", "STPNR pre", 1, 5, 7, 1),))
    path = tmp_path / "results.json"
    assert run(command, monkeypatch, "--untimed", "--neighbour", "--only", "STPNR", "--json", str(path)) == 0
    entries = json.loads(path.read_text())["neighbour"]
    assert [entry["peer"] for entry in entries] == ["stpn_swift, NumPy", "stpn_swift, PyTorch"]
    for entry in entries:
        assert 0 < entry["idle"] <= entry["idle_percentile_99"] <= entry["idle_longest"]
        assert 0 < entry["median"] <= entry["percentile_99"] <= entry["longest"]
        assert 0 <= entry["kept"] <= entry["calls"]
        if entry["kept"] > 1:
            assert 0 < entry["kept_percentile_99"] <= entry["kept_longest"] <= entry["longest"]
    assert "beside a busy process" in capsys.readouterr().out


def test_the_neighbour_goes_when_it_is_not_needed(command: ModuleType) -> None:
    with part("neighbour").busy_core() as neighbour:
        assert neighbour.poll() is None
    assert neighbour.returncode is not None


def test_targets_are_judged_by_their_worst_figure(command: ModuleType) -> None:
    verdicts = part("targets").verdicts
    assert [*verdicts(made_up({}))] == []

    small, larger = (
        "training step STPNR pre B 128 I 37 H 11 T 9",
        "training step STPNR pre B 64 I 64 H 64 T 50",
    )
    large = "training step STPNR pre B 512 I 20 H 55 T 20"
    rollout = "single step STPNR pre B 1 I 17 H 55 T 1"
    ours = "stpn_swift, NumPy"
    times = {
        (small, 2, ours): {"median": 0.5},
        (small, 2, "eager PyTorch"): {"median": 8.0},
        (small, 2, "eager PyTorch, bmm"): {"median": 7.0},
        (larger, 2, ours): {"median": 1.0},
        (larger, 2, "eager PyTorch"): {"median": 30.0},
        (large, 2, ours): {"median": 1.0},
        (large, 2, "eager PyTorch"): {"median": 19.0},
        (rollout, 2, ours): {"median": 0.004},
    }
    lines = [" ".join(line.split()) for line in verdicts(made_up(times))]
    assert lines == [
        "training step against eager PyTorch, small 14.00 at least 12.00 holds "
        f"{small}, eager PyTorch, bmm against {ours}",
        "training step against eager PyTorch 19.00 at least 20.00 does not hold "
        f"{large}, eager PyTorch against {ours}, worst of 2",
        f"rollout step through NumPy 4.0 µs at most 5.0 µs holds {rollout}, {ours}",
    ]


def test_backward_is_judged_by_what_a_training_step_has_beyond_a_forward_pass(command: ModuleType) -> None:
    ours = "stpn_swift, PyTorch"
    times = {
        ("training step STPNR pre B 64 I 64 H 64 T 50", 1, ours): {"median": 5.0, "multiply_adds": 0.4},
        ("forward STPNR pre B 64 I 64 H 64 T 50", 1, ours): {"median": 1.0, "multiply_adds": 0.8},
    }
    forward, backward = part("targets").verdicts(made_up(times))
    assert forward.split("forward")[1].split()[:2] == ["80%", "at"]
    assert backward.split("backward")[1].split()[:2] == ["30%", "at"]
    assert "does not hold" in backward


def test_targets_of_memory_and_neighbour_are_judged(command: ModuleType) -> None:
    results = made_up({})
    episode = part("rows").EPISODE.name
    results.memory += [
        {"row": episode, "threads": 2, "peer": "stpn_swift, NumPy", "bytes": 160e6},
        {"row": episode, "threads": 2, "peer": "stpn_swift, PyTorch", "bytes": 140e6},
        {"row": episode, "threads": 2, "peer": "eager PyTorch", "bytes": None},
    ]
    calls = {"row": "r", "threads": 2, "peer": "stpn_swift, NumPy", "idle": 2.0, "percentile_99": 5.0}
    results.neighbour.append(calls)
    memory, neighbour = part("targets").verdicts(results)
    assert "160.0 MB" in memory and "does not hold" in memory and "worst of 2" in memory
    assert "2.50" in neighbour and "does not hold" not in neighbour


def test_times_have_fitting_units(command: ModuleType) -> None:
    duration = part("report").duration
    assert [duration(t) for t in (0.0042, 0.25, 1.234, 1500)] == ["4.2 µs", "250.0 µs", "1.23 ms", "1.50 s"]
