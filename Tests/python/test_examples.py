"""The examples run as they stand."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_retrieval_torch() -> None:
    pytest.importorskip("torch")
    command = [sys.executable, str(EXAMPLES / "retrieval_torch.py"), "--epochs", "1", "--sequences", "256"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "epoch   1   loss 3." in result.stdout and "test accuracy 0." in result.stdout


def test_every_example_is_in_the_list() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES.glob("*.py") if path.name not in text] == []
