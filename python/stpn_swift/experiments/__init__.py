"""The experiments of the paper: the command `stpn`, also `python -m stpn_swift`.

They need the packages of the extra `experiments`; PyTorch, for the networks that the kernel does not compute
and for `--backend torch`.
"""
