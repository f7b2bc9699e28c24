"""The examples run as they stand, by the commands of their list."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
README = (EXAMPLES / "README.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"^\| \[`(recall\.\w+)`\].*\| `(.*)` \|$", README, re.MULTILINE))


def test_retrieval_torch() -> None:
    pytest.importorskip("torch")
    command = [sys.executable, str(EXAMPLES / "retrieval_torch.py"), "--epochs", "1", "--sequences", "256"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "epoch   1   loss 3." in result.stdout and "test accuracy 0." in result.stdout


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
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in README] == []
    assert set(COMMANDS) == {path.name for path in EXAMPLES.glob("recall/recall.*")}
