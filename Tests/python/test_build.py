"""Building says in one sentence what it misses of the toolchain, and chooses what the kernel stands on."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
    assert "Swift 6.2 or later" in message and f"no {tmp_path / 'missing'} was found" in message
    assert "https://www.swift.org/install" in message


def test_an_old_compiler(tmp_path: Path) -> None:
    message = build(tmp_path, fake_compiler(tmp_path, "Swift version 5.10 (swift-5.10-RELEASE)"))
    assert message.count("\n") == 1
    assert "Swift 6.2 or later" in message and "is 5.10" in message


def test_no_c_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "missing"))
    message = build(tmp_path, fake_compiler(tmp_path, "Swift version 6.3"))
    assert message.count("\n") == 1 and "C compiler" in message and str(tmp_path / "missing") in message


def test_no_compiler_at_all(tmp_path: Path) -> None:
    message = build(tmp_path, fake_compiler(tmp_path, "hello"))
    assert message.count("\n") == 1 and 'names no version, but says "hello"' in message


def test_a_compiler_that_cannot_be_run(tmp_path: Path) -> None:
    compiler = fake_compiler(tmp_path, "")
    compiler.write_text("#!/nowhere/sh\n")
    message = build(tmp_path, compiler)
    assert message.count("\n") == 1 and f"{compiler} cannot be run (No such file or directory)" in message


def test_a_c_compiler_behind_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    module = kernel_build(monkeypatch)
    monkeypatch.setenv("CC", "env cc -m64")
    assert module.c_compiler() == ["env", "cc", "-m64"]


def test_tools_of_a_toolchain_that_is_called_by_a_script(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are not beside the script."""
    module = kernel_build(monkeypatch)
    bin = tmp_path / "toolchain" / "bin"
    bin.mkdir(parents=True)
    tool = fake_compiler(bin, "").rename(bin / "llvm-objcopy")
    script = fake_compiler(tmp_path, f'{{"paths": {{"runtimeResourcePath": "{bin.parent}/lib/swift"}}}}')
    assert module.llvm_tool(str(script), "objcopy") == str(tool)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(module.BuildError, match="built with llvm-nothing, and none was found"):
        module.llvm_tool(str(script), "nothing")


def kernel_build(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.delenv("STPN_KERNEL_BUILD", raising=False)
    return importlib.import_module("build_kernel")


def test_a_toolchain_without_embedded_swift_gets_a_static_runtime(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = kernel_build(monkeypatch)
    monkeypatch.setattr(sys, "platform", "linux")
    compiler = fake_compiler(tmp_path, "Swift version 6.3")
    assert module.choose_runtime(str(compiler)) is module.Runtime.EMBEDDED
    compiler.write_text('#!/bin/sh\ncase "$*" in *Embedded*) exit 1;; esac\n')
    assert module.choose_runtime(str(compiler)) is module.Runtime.STATIC


def test_elsewhere_than_on_linux_embedded_swift_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = kernel_build(monkeypatch)
    monkeypatch.setattr(sys, "platform", "darwin")
    compiler = fake_compiler(tmp_path, "Swift version 6.3")
    compiler.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(module.BuildError, match="cannot do Embedded Swift"):
        module.choose_runtime(str(compiler))


@pytest.mark.skipif(shutil.which("swiftc") is None, reason="Swift is not installed")
def test_the_choice_of_this_toolchain_is_its_own_or_the_environment_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = kernel_build(monkeypatch)
    compiler = module.swift_compiler()
    has_embedded = module.has_embedded_swift(compiler)
    assert (module.choose_runtime(compiler) is module.Runtime.EMBEDDED) == has_embedded
    monkeypatch.setenv("STPN_KERNEL_BUILD", "embedded")
    assert module.choose_runtime(compiler) is module.Runtime.EMBEDDED
    assert module.output_directory() == ROOT / "build" / "native-embedded"


def test_an_unknown_runtime_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STPN_KERNEL_BUILD", "dynamic")
    message = build(tmp_path, fake_compiler(tmp_path, "Swift version 6.3"))
    assert message == 'STPN_KERNEL_BUILD: expected "embedded", "static" or nothing, got "dynamic".\n'


def test_a_library_of_another_runtime_is_not_current(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    module = kernel_build(monkeypatch)
    library = tmp_path / "libstpn.a"
    library.touch()
    assert not module.is_current(library)
    (tmp_path / "runtime.txt").write_text("Embedded Swift")
    assert module.is_current(library)
    monkeypatch.setenv("STPN_KERNEL_BUILD", "static")
    assert not module.is_current(library)
