"""The modules by name: each has the options of its class in `stpn_swift`."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

import torch

from .. import cell, cells
from .module import Cell


class STPN(Cell):
    """Short-term plasticity neurons as a module; `stpn_swift.STPN` describes sizes, options, parameters and
    states."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPN

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: bool = True,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype, {"recurrent": recurrent, **options})


class STPNR(STPN):
    """Recurrent short-term plasticity neurons as a module, `STPN` with recurrent=True."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPNR

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        Cell.__init__(self, input_size, hidden_size, dtype, options)  # `recurrent` is no option here


class STPNF(STPN):
    """Feed-forward short-term plasticity neurons as a module, `STPN` with recurrent=False."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPNF

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.STPNOptions],
    ) -> None:
        Cell.__init__(self, input_size, hidden_size, dtype, options)  # `recurrent` is no option here


class HebbFF(Cell):
    """HebbFF as a module; `stpn_swift.HebbFF` describes sizes, options, parameters and states."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.HebbFF

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.HebbFFOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype, options)


class FastWeights(Cell):
    """Fast weights as a module; `stpn_swift.FastWeights` describes sizes, options, parameters and states."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.FastWeights

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.FastWeightsOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype, options)


class Modulated(Cell):
    """Modulated plasticity as a module; `stpn_swift.Modulated` describes sizes, options, parameters and
    states."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.Modulated

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dtype: torch.dtype | None = None,
        **options: Unpack[cells.ModulatedOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, dtype, options)


_MODULES: dict[type[cell.Cell], Callable[..., Cell]] = {
    module.NUMPY: module for module in (STPNR, STPNF, HebbFF, FastWeights, Modulated)
}


def cell_from_config(config: Mapping[str, Any], *, dtype: torch.dtype | None = None) -> Cell:
    """The module that a config describes; `stpn_swift.cell_from_config` describes configs and errors.

    cell = cell_from_config({"cell": "stpn", "input_size": 37, "hidden_size": 11, "clamp": 0.1})
    """
    numpy_class, arguments = cells.read_config(config)
    return _MODULES[numpy_class](**arguments, dtype=dtype)
