"""The cells as modules of PyTorch, computed on the CPU by the same kernel as the NumPy ones, and elsewhere by
PyTorch's own operations.

import torch, stpn_swift.torch

cell = stpn_swift.torch.STPNR(37, 11)
y, state = cell(torch.zeros(128, 9, 37))
y.sum().backward()
"""

from .cells import STPN, STPNF, STPNR, FastWeights, HebbFF, Modulated, cell_from_config
from .module import Cell
from .published import PublishedNetwork, load_published
from .saving import load, save

__all__ = [
    "STPN",
    "STPNF",
    "STPNR",
    "Cell",
    "FastWeights",
    "HebbFF",
    "Modulated",
    "PublishedNetwork",
    "cell_from_config",
    "load",
    "load_published",
    "save",
]
