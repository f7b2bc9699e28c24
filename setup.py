"""Builds the extension: the Swift kernel as a static library, and the C bridge linked with it."""

import re
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))

from build_kernel import HEADERS, BuildError, build, runtime_of  # noqa: E402  (the folder of setup.py is not on the path of an isolated build)

# Debugging information and every symbol but the module's own stay out: the library is several times the code.
# Those for macOS are untested.
LINKER_OPTIONS = {
    "linux": [
        "-pthread",
        "-lm",
        "-Wl,--version-script=Sources/CPyBridge/exports.map",
        "-Wl,--gc-sections",
        "-Wl,--strip-all",
    ],
    "darwin": ["-Wl,-exported_symbol,_PyInit__kernel", "-Wl,-dead_strip", "-Wl,-x"],
}


class BuildWithKernel(build_ext):
    def build_extensions(self) -> None:
        # A Python of one's own brings the folder of its libraries, which is another one on other machines.
        linker = self.compiler.linker_so
        self.compiler.set_executables(
            linker_so=[part for part in linker if not part.startswith("-Wl,-rpath")]
        )
        super().build_extensions()

    def build_extension(self, ext: Extension) -> None:
        header = Path(sysconfig.get_path("include")) / "Python.h"
        if not header.exists():
            sys.exit(
                "error: stpn_swift is built with the C headers of Python, and there is no "
                f"{header}: install them (python3-dev, python3-devel)."
            )
        try:
            library = build()
        except BuildError as error:
            sys.exit(f"error: {error}")
        ext.extra_objects = [str(library)]
        ext.define_macros.append(("STPN_KERNEL_BUILD", f'"{runtime_of(library).value}"'))
        self.force = True  # what was linked before may have been another library
        super().build_extension(ext)


def version() -> str:
    header = (ROOT / "Sources" / "CSTPN" / "include" / "stpn.h").read_text()
    found = re.search(r'#define STPN_VERSION_STRING "([^"]+)"', header)
    assert found is not None, "stpn.h defines no STPN_VERSION_STRING"
    return found[1]


extension = Extension(
    "stpn_swift._kernel",
    sources=[str(path.relative_to(ROOT)) for path in sorted((ROOT / "Sources" / "CPyBridge").glob("*.c"))],
    include_dirs=[str(headers.relative_to(ROOT)) for headers in HEADERS[:1]],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    py_limited_api=True,
    # For size, which is what a wheel of a million bytes needs; a step is no slower, a tiny call half a µs.
    extra_compile_args=["-std=c11", "-Os", "-fno-asynchronous-unwind-tables", "-fvisibility=hidden"],
    extra_link_args=LINKER_OPTIONS.get(sys.platform, []),
)

setup(
    version=version(),
    ext_modules=[extension],
    cmdclass={"build_ext": BuildWithKernel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
