"""Building without a Swift toolchain, or with an old one, says what is missing in one sentence."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path, swiftc: Path) -> str:
    """What a build with this compiler says when it fails."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "build_kernel.py"), "--output", str(folder / "built")],
        env=os.environ | {"SWIFTC": str(swiftc)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1 and result.stdout == ""
    assert not (folder / "built").exists()
    return result.stderr


def fake_compiler(folder: Path, answer: str) -> Path:
    compiler = folder / "swiftc"
    compiler.write_text(f"#!/bin/sh\necho '{answer}'\n")
    compiler.chmod(0o755)
    return compiler


def test_no_compiler(tmp_path: Path) -> None:
    message = build(tmp_path, tmp_path / "missing")
    assert message.count("\n") == 1
    assert "Swift 6.2 or later" in message and "no swiftc was found" in message
    assert "https://www.swift.org/install" in message


def test_an_old_compiler(tmp_path: Path) -> None:
    message = build(tmp_path, fake_compiler(tmp_path, "Swift version 5.10 (swift-5.10-RELEASE)"))
    assert message.count("\n") == 1
    assert "Swift 6.2 or later" in message and "is 5.10" in message


def test_no_compiler_at_all(tmp_path: Path) -> None:
    message = build(tmp_path, fake_compiler(tmp_path, "hello"))
    assert message.count("\n") == 1 and "names no version" in message
