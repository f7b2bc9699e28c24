"""The examples run as they stand, by the commands of their list."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import golden
import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"^\| \[`(recall\.\w+)`\].*\| `(.*)` \|$", README, re.MULTILINE))


def run(*arguments: str) -> str:
    """What Python prints for them; within ten minutes, which is for machines that are busy."""
    command = [sys.executable, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_retrieval_torch() -> None:
    pytest.importorskip("torch")
    shown = run(str(EXAMPLES / "retrieval_torch.py"), "--epochs", "1", "--sequences", "256")
    assert "epoch   1   loss 3." in shown and "test accuracy 0." in shown


def test_one_line_makes_a_script_faster() -> None:
    """The script with the cell written out, and the one with ours: an import apart, and the same losses."""
    pytest.importorskip("torch")
    folder = EXAMPLES / "drop_in"
    eager, kernel = (folder / name for name in ("train_eager.py", "train_kernel.py"))
    lines = [path.read_text(encoding="utf-8").splitlines() for path in (eager, kernel)]
    differing = [pair for pair in zip(*lines, strict=True) if pair[0] != pair[1]]
    assert differing == [("from stpnr import STPNR", "from stpn_swift.torch import STPNR")]
    losses = [np.array(run(str(path)).split(), float) for path in (eager, kernel)]
    assert len(losses[0]) == 50 and losses[0][-10:].mean() < losses[0][:10].mean()
    assert np.abs(losses[0] - losses[1]).max() < 1e-10


def test_three_frameworks() -> None:
    for module in ("autograd", "jax", "torch"):
        pytest.importorskip(module)
    shown = run(str(EXAMPLES / "three_frameworks.py"), "--updates", "30").splitlines()
    assert shown[0].split() == ["NumPy", "PyTorch", "JAX"]
    curves = np.array([line.split() for line in shown[1:]], float)
    assert curves.shape == (30, 3) and curves[-1, 0] < curves[0, 0]
    assert np.abs(curves - curves[:, :1]).max() < 1e-12


def test_data_parallel(tmp_path: Path) -> None:
    """Two processes have the gradients of one with the whole batch, in the third update."""
    torch = pytest.importorskip("torch")
    safetensors = pytest.importorskip("safetensors.numpy")
    if not torch.distributed.is_available() or not torch.distributed.is_gloo_available():
        pytest.skip("this PyTorch has no gloo")
    options = ["--updates", "3", "--float64"]
    gradients = []
    for processes in (1, 2):
        file = tmp_path / f"{processes}.safetensors"
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        shown = run(*torchrun, str(EXAMPLES / "data_parallel.py"), *options, "--gradients", str(file))
        assert shown.startswith("update    3   loss 3.")
        gradients.append(safetensors.load_file(file))
    assert len(gradients[0]) == 6 and all(array.any() for array in gradients[0].values())
    golden.assert_all_close(gradients[1], gradients[0], "gradients")


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is installed on Linux alone")
@pytest.mark.parametrize("program", COMMANDS)
def test_recall(program: str, installed: Path, tmp_path: Path) -> None:
    command = COMMANDS[program]
    language = re.sub(r'\w+=("[^"]*"|\S*) ', "", command).split()[0]
    if shutil.which(language) is None:
        pytest.skip(f"{language} is not installed: {program} is left out")
    folder = shutil.copytree(EXAMPLES / "recall", tmp_path / "recall")
    environment = os.environ | {"PREFIX": str(installed)}
    result = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    shown = README.partition("whatever the language:\n\n")[2]
    assert result.stdout == re.sub(r"^    ", "", shown, flags=re.MULTILINE)


def test_every_example_is_in_the_list() -> None:
    scripts = [*EXAMPLES.glob("*.py"), *EXAMPLES.glob("drop_in/*.py")]
    assert [path.name for path in scripts if path.name not in README] == []
    assert set(COMMANDS) == {path.name for path in EXAMPLES.glob("recall/recall.*")}
