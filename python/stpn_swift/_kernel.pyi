"""The kernel of stpn_swift, on buffers: the functions of stpn.h, with every argument checked.
 Arrays are anything with the buffer protocol, or with DLPack on the CPU. Inputs that are strided or
unaligned are copied; outputs must be writable, C-contiguous and aligned. A dict of arrays holds one array per
parameter or state. A tape is an array of uint8.
"""

from typing import Any

from numpy.typing import NDArray

_Array = NDArray[Any]
_Arrays = dict[str, _Array]
_PartialArrays = dict[str, Any]  # entries may be None or missing
_Description = tuple[str, tuple[int, ...], float, float]

__version__: str
build: str
functions: dict[str, int]
"""The addresses of functions of stpn.h, for callers in C."""

def get_num_threads() -> int: ...
def set_num_threads(threads: int, /) -> None: ...
def implementations() -> list[tuple[str, bool, bool]]:
    """(name, available, best) of each implementation."""

class Cell:
    """A cell by its options: "cell", its name, and those of docs/cells.md. Immutable."""

    def __new__(cls, config: dict[str, Any], dtype: str | None) -> Cell: ...
    @property
    def config(self) -> dict[str, Any]:
        """A copy of the dict of options that the cell was made of."""
    @property
    def dtype(self) -> str:
        """ "float32" or "float64"."""
    @property
    def description(self) -> bytes:
        """The bytes of the cell's stpn_cell, for callers in C."""
    @property
    def parameters(self) -> tuple[_Description, ...]:
        """(name, shape, low, high) of each parameter; initial values are uniform in [low, high)."""
    @property
    def states(self) -> tuple[_Description, ...]:
        """(name, shape of one sample, low, high) of each state."""
    def sequence_sizes(self, x: _Array, /) -> tuple[int, int]:
        """(B, T), if x is a sequence (B,T,I) for this cell."""
    def step_size(self, x_t: _Array, /) -> int:
        """B, if x_t is the input (B,I) of a step."""
    def state_shapes(self, batch: int, /) -> dict[str, tuple[int, ...]]:
        """The shape (B, ...) of each state by name."""
    def tape_size(self, batch: int, time: int, implementation: str | None, /) -> int:
        """The bytes of a tape."""
    def forward(
        self,
        y: _Array,
        final_state: _PartialArrays | None,
        energy: _Array | None,
        x: _Array,
        params: _Arrays,
        state: _Arrays | None,
        resets: _Array | None,
        tape: _Array | None,
        threads: int,
        implementation: str | None,
        /,
    ) -> None: ...
    def backward(
        self,
        grad_x: _Array | None,
        grad_params: _PartialArrays | None,
        grad_state: _PartialArrays | None,
        grad_y: _Array | None,
        grad_final: _PartialArrays | None,
        tape: _Array,
        batch: int,
        time: int,
        threads: int,
        implementation: str | None,
        /,
    ) -> None: ...
    def step(
        self,
        y: _Array | None,
        state: _Arrays,
        energy: _Array | None,
        x_t: _Array,
        params: _Arrays,
        threads: int,
        implementation: str | None,
        /,
    ) -> None: ...
