"""The modules by name: each has the options of its class in `stpn_swift`, and those of every module."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Unpack

from .. import cell, cells
from .module import USUAL, Cell, ModuleOptions
from .signatures import spelled_out
from .squashed import SquashedCell


class STPNOptions(cells.STPNOptions, ModuleOptions, total=False):
    """The options of `STPNR` and `STPNF`."""


class STPN(Cell):
    """Short-term plasticity neurons as a module; `stpn_swift.STPN` describes sizes, options, parameters and
    states, `Cell` the options of modules."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPN

    @spelled_out({**cells.STPN.OPTIONS, **USUAL})
    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        recurrent: bool = True,
        **options: Unpack[STPNOptions],
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent=recurrent, **options)


class STPNR(STPN):
    """Recurrent short-term plasticity neurons as a module, `STPN` with recurrent=True."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPNR

    @spelled_out({**cells.STPNR.OPTIONS, **USUAL})
    def __init__(self, input_size: int, hidden_size: int, **options: Unpack[STPNOptions]) -> None:
        Cell.__init__(self, input_size, hidden_size, **options)  # `recurrent` is no option here


class STPNF(STPN):
    """Feed-forward short-term plasticity neurons as a module, `STPN` with recurrent=False."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.STPNF

    @spelled_out({**cells.STPNF.OPTIONS, **USUAL})
    def __init__(self, input_size: int, hidden_size: int, **options: Unpack[STPNOptions]) -> None:
        Cell.__init__(self, input_size, hidden_size, **options)  # `recurrent` is no option here


class HebbFFOptions(cells.HebbFFOptions, ModuleOptions, total=False):
    """The options of `HebbFF`."""


class HebbFF(Cell):
    """HebbFF as a module; `stpn_swift.HebbFF` describes sizes, options, parameters and states, `Cell` the
    options of modules."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.HebbFF

    @spelled_out({**cells.HebbFF.OPTIONS, **USUAL})
    def __init__(self, input_size: int, hidden_size: int, **options: Unpack[HebbFFOptions]) -> None:
        super().__init__(input_size, hidden_size, **options)


class FastWeightsOptions(cells.FastWeightsOptions, ModuleOptions, total=False):
    """The options of `FastWeights`."""


class FastWeights(Cell):
    """Fast weights as a module; `stpn_swift.FastWeights` describes sizes, options, parameters and states,
    `Cell` the options of modules."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.FastWeights

    @spelled_out({**cells.FastWeights.OPTIONS, **USUAL})
    def __init__(self, input_size: int, hidden_size: int, **options: Unpack[FastWeightsOptions]) -> None:
        super().__init__(input_size, hidden_size, **options)


class ModulatedOptions(cells.ModulatedOptions, ModuleOptions, total=False):
    """The options of `Modulated`."""


class Modulated(Cell):
    """Modulated plasticity as a module; `stpn_swift.Modulated` describes sizes, options, parameters and
    states, `Cell` the options of modules."""

    NUMPY: ClassVar[type[cell.Cell]] = cells.Modulated

    @spelled_out({**cells.Modulated.OPTIONS, **USUAL})
    def __init__(self, input_size: int, hidden_size: int, **options: Unpack[ModulatedOptions]) -> None:
        super().__init__(input_size, hidden_size, **options)


_MODULES: dict[type[cell.Cell], Callable[..., Cell]] = {
    module.NUMPY: module for module in (STPNR, STPNF, HebbFF, FastWeights, Modulated)
}


def cell_from_config(config: Mapping[str, Any], **options: Unpack[ModuleOptions]) -> Cell:
    """The module that a config describes; `stpn_swift.cell_from_config` describes configs and errors, `Cell`
    the options of modules.

    cell = cell_from_config({"cell": "stpn", "input_size": 37, "hidden_size": 11, "clamp": 0.1})

    With "squashed" it is a `SquashedCell`.
    """
    numpy_class, arguments = cells.read_config(config)
    squashed = arguments.pop("squashed", False)
    cell = _MODULES[numpy_class](**arguments, **options)
    return SquashedCell(cell) if squashed else cell
