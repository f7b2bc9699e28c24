"""What `make install` installs: complete, movable, nothing visible but stpn.h, nothing needed but libc."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "c.md"
NEEDED_AT_MOST = {"libc.so.6", "libm.so.6", "libpthread.so.0", "ld-linux-aarch64.so.1"}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the C library is installed on Linux alone")


def run(*command: str | Path, folder: Path = ROOT) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}"
    return result.stdout


def need(tool: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    return path


@pytest.fixture(scope="module")
def moved(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The installed tree in another place."""
    return shutil.copytree(installed, tmp_path_factory.mktemp("moved") / "a tree", symlinks=True)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and the CMakeLists.txt of docs/c.md."""
    text = PAGE.read_text(encoding="utf-8")
    folder = tmp_path_factory.mktemp("program")
    for language, name in (("c", "recall.c"), ("cmake", "CMakeLists.txt")):
        code = re.search(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert code is not None, f"docs/c.md shows no {language}"
        (folder / name).write_text(code[1], encoding="utf-8")
    return folder


def declared() -> list[str]:
    """The functions of the committed list."""
    lines = (ROOT / "Tests" / "c" / "abi.txt").read_text(encoding="utf-8").splitlines()
    return sorted(line.partition("(")[0].split()[-1] for line in lines if "(" in line)


def version_of(installed: Path) -> str:
    header = (installed / "include" / "stpn.h").read_text(encoding="utf-8")
    return str(re.findall(r'STPN_VERSION_STRING "(.*)"', header)[0])


def symbols(*command: str | Path) -> list[str]:
    return sorted(line.split()[-1] for line in run(*command).splitlines() if len(line.split()) == 3)


def test_shared_library_shows_the_functions_of_the_header_alone(installed: Path) -> None:
    assert symbols("nm", "-D", "--defined-only", installed / "lib" / "libstpn.so") == declared()


def test_static_library_shows_the_functions_of_the_header_alone(installed: Path) -> None:
    assert symbols("nm", "-g", "--defined-only", installed / "lib" / "libstpn.a") == declared()


def test_shared_library_needs_nothing_but_libc(installed: Path) -> None:
    dynamic = run("readelf", "-d", installed / "lib" / "libstpn.so")
    assert set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)) <= NEEDED_AT_MOST
    assert "(RPATH)" not in dynamic and "(RUNPATH)" not in dynamic and "(TEXTREL)" not in dynamic


UNLOADED = """
import _ctypes, time
import recall  # examples/recall/recall.py

recall.T, recall.STEPS = 2000, 0  # enough work for two threads
try:
    recall.train()
except SystemExit:
    pass  # its loss did not fall
_ctypes.dlclose(recall.stpn._handle)
time.sleep(0.1)
print("alive")
"""


def test_a_library_that_is_unloaded_keeps_the_code_that_its_threads_wait_in(installed: Path) -> None:
    """A process that closes it would end where they wake."""
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(installed / "lib"),
        "PYTHONPATH": str(ROOT / "examples" / "recall"),
        "STPN_NUM_THREADS": "2",
    }
    command = [sys.executable, "-c", UNLOADED]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout.splitlines()[-1:]) == (0, ["alive"]), result.stderr


def test_versions_of_the_shared_library(installed: Path) -> None:
    lib = installed / "lib"
    version = version_of(installed)
    major, minor, _ = version.split(".")
    soname = f"libstpn.so.{'0.' + minor if major == '0' else major}"
    assert re.findall(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", lib / "libstpn.so")) == [soname]
    assert os.readlink(lib / "libstpn.so") == soname
    assert os.readlink(lib / soname) == f"libstpn.so.{version}"
    assert not (lib / f"libstpn.so.{version}").is_symlink()


def compile_as_shown(words: str, program: Path, folder: Path, *more: str) -> Path:
    """By the command of docs/c.md that has these words."""
    (command,) = re.findall(
        rf"^    (cc .*{re.escape(words)}.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    shutil.copy(program / "recall.c", folder)
    run("sh", "-c", command.replace("--libs", " ".join(["--libs", *more])), folder=folder)
    return folder / "recall"


def test_plain_compiler(
    installed: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("cc")
    monkeypatch.setenv("PREFIX", str(installed))
    output = compile_as_shown("-lstpn", program, tmp_path)
    assert str(installed / "lib") in run("ldd", output)
    run(output)
    output = compile_as_shown("libstpn.a", program, tmp_path)
    assert "libstpn" not in run("ldd", output)
    run(output)


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_pkg_config(
    static: bool, installed: Path, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need("cc")
    tool = need("pkg-config")
    moved = shutil.copytree(installed, tmp_path / "moved", symlinks=True)
    monkeypatch.setenv("PKG_CONFIG_PATH", str(moved / "lib" / "pkgconfig"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(moved / "lib"))
    flags = run(tool, "--cflags", "--libs", "stpn").split()
    assert any(str(moved) in flag for flag in flags) and not any(str(installed) in flag for flag in flags)
    if static:
        (moved / "lib" / "libstpn.so").unlink()
    output = compile_as_shown("pkg-config", program, tmp_path, *(["--static"] if static else []))
    assert ("libstpn" in run("ldd", output)) == (not static)
    run(output)


@pytest.mark.parametrize("target", ["stpn::stpn", "stpn::stpn_static"])
def test_cmake(target: str, moved: Path, program: Path, tmp_path: Path) -> None:
    tool = need("cmake")
    shutil.copy(program / "recall.c", tmp_path)
    lists = (program / "CMakeLists.txt").read_text(encoding="utf-8")
    assert "stpn::stpn)" in lists
    (tmp_path / "CMakeLists.txt").write_text(lists.replace("stpn::stpn)", f"{target})"), encoding="utf-8")
    run(tool, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={moved}")
    run(tool, "--build", tmp_path / "build")
    assert ("libstpn" in run("ldd", tmp_path / "build" / "recall")) == (target == "stpn::stpn")
    run(tmp_path / "build" / "recall")


def test_cmake_serves_versions_of_the_same_abi(installed: Path, tmp_path: Path) -> None:
    tool = need("cmake")

    def is_served(requested: str) -> bool:
        script = tmp_path / "ask.cmake"
        script.write_text(
            f'set(PACKAGE_FIND_VERSION "{requested}")\n'
            f'include("{installed / "lib" / "cmake" / "stpn" / "stpn-config-version.cmake"}")\n'
            'message("${PACKAGE_VERSION_COMPATIBLE}")\n',
            encoding="utf-8",
        )
        result = subprocess.run([tool, "-P", script], capture_output=True, text=True, check=True)
        return result.stderr.strip() == "TRUE"

    version = version_of(installed)
    major, minor, patch = map(int, version.split("."))
    served = [version, f"{major}.{minor}"]
    refused = [f"{major}.{minor}.{patch + 1}", f"{major}.{minor + 1}", f"{major}.{minor}0", f"{major + 1}"]
    assert [is_served(requested) for requested in served] == [True, True]
    assert [is_served(requested) for requested in refused] == [False] * 4


def test_cmake_serves_ranges_of_versions(installed: Path, program: Path, tmp_path: Path) -> None:
    tool = need("cmake")
    shutil.copy(program / "recall.c", tmp_path)
    lists = (program / "CMakeLists.txt").read_text(encoding="utf-8").replace("3.16", "3.19")
    version = version_of(installed)
    for requested, served in (
        (f"0.0.1...{version}", True),
        ("0.0.1...<9", True),
        (f"0.0.1...<{version}", False),
        ("9...10", False),
    ):
        text = lists.replace("find_package(stpn 0.1 REQUIRED)", f"find_package(stpn {requested} REQUIRED)")
        assert text != lists
        (tmp_path / "CMakeLists.txt").write_text(text, encoding="utf-8")
        command = f'"{tool}" -S . -B build -DCMAKE_PREFIX_PATH="{installed}"'
        result = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=False)
        assert (result.returncode == 0) == served, f"{requested}\n{result.stderr.decode()}"
        shutil.rmtree(tmp_path / "build")


def test_cmake_through_a_merged_lib(installed: Path, program: Path, tmp_path: Path) -> None:
    """On many systems /lib is a link to /usr/lib, and CMake looks there first."""
    tool = need("cmake")
    shutil.copytree(installed, tmp_path / "root" / "usr", symlinks=True)
    (tmp_path / "root" / "lib").symlink_to("usr/lib")
    shutil.copytree(program, tmp_path / "program")
    folder = tmp_path / "program"
    run(tool, "-S", folder, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'root'}")
    run(tool, "--build", tmp_path / "build")


@pytest.mark.usefixtures("installed")  # it can be built
def test_what_packagers_set(tmp_path: Path) -> None:
    run("make", "install", "PREFIX=/opt/stpn", "LIBDIR=lib/a-machine", f"DESTDIR={tmp_path}")
    folder = tmp_path / "opt" / "stpn"
    lib = folder / "lib" / "a-machine"
    assert (folder / "include" / "stpn.h").exists() and (lib / "libstpn.so").exists()
    text = (lib / "pkgconfig" / "stpn.pc").read_text(encoding="utf-8")
    assert "prefix=${pcfiledir}/../../..\n" in text and "libdir=${prefix}/lib/a-machine\n" in text
    for path in folder.rglob("*"):
        if path.suffix in {".pc", ".cmake"}:
            text = path.read_text(encoding="utf-8")
            assert str(tmp_path) not in text and "/opt" not in text and "@" not in text, path


@pytest.mark.usefixtures("installed")
def test_a_libdir_may_be_absolute_within_the_prefix(tmp_path: Path) -> None:
    """The way of GNU and Debian."""
    run("make", "install", "PREFIX=/usr", "LIBDIR=/usr/lib/a-machine", f"DESTDIR={tmp_path}")
    assert (tmp_path / "usr" / "lib" / "a-machine" / "libstpn.so").exists()
    command = ["make", "install", "PREFIX=/usr", f"LIBDIR={tmp_path}/lib", f"DESTDIR={tmp_path}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "--libdir: expected a directory in the prefix /usr" in result.stderr
    assert not (tmp_path / "lib").exists()


@pytest.mark.usefixtures("installed")
def test_a_prefix_may_have_spaces_and_quotes_and_is_left_as_it_was(tmp_path: Path) -> None:
    prefix = tmp_path / "someone's own tree"
    kept = prefix / "lib" / "cmake" / "stpn" / "of-another.cmake"
    kept.parent.mkdir(parents=True)
    kept.touch()
    run("make", "install", f"PREFIX={prefix}")
    assert (prefix / "include" / "stpn.h").exists() and (prefix / "lib" / "libstpn.so.0.1").exists()
    run("make", "uninstall", f"PREFIX={prefix}")
    assert [path for path in prefix.rglob("*") if not path.is_dir()] == [kept]


@pytest.mark.usefixtures("installed")
def test_what_was_built_is_installed_without_swift_and_for_everybody(tmp_path: Path) -> None:
    environment = os.environ | {"SWIFTC": str(tmp_path / "missing"), "CC": str(tmp_path / "missing")}
    command = ["sh", "-c", f"umask 077 && make install PREFIX='{tmp_path}/prefix'"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    for path in (tmp_path / "prefix").rglob("*"):
        assert path.stat().st_mode & 0o444 == 0o444, path
