"""Sequences of different lengths, a piece with the same samples after the other."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

Tensors = dict[str, Tensor]
Result = tuple[Tensor, Tensors, Tensor | None]
Sequence = Callable[[Tensor, Tensors | None, Tensor | None], Result]


def run_padded(
    sequence: Sequence, x: Tensor, lengths: Tensor, state: Tensors | None, resets: Tensor | None
) -> Result:
    """As `run_packed`, of x (B,T,I) up to the lengths (B); y and the energy are 0 behind them."""
    B, T, _ = x.shape
    _check_lengths(lengths, B, T)
    if B == 0:
        return sequence(x, state, resets)
    packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
    longest = len(packed.batch_sizes)
    y, final, energy = run_packed(sequence, packed, state, None if resets is None else resets[:, :longest])
    return _padded(y, T), final, None if energy is None else _padded(energy, T)


def _padded(packed: PackedSequence, time: int) -> Tensor:
    return pad_packed_sequence(packed, batch_first=True, total_length=time)[0]


def run_packed(
    sequence: Sequence, x: PackedSequence, state: Tensors | None, resets: Tensor | None
) -> tuple[PackedSequence, Tensors, PackedSequence | None]:
    """y, the state after each sample's last step, and the energy, as `sequence` has them of a batch.

    States and resets, (B,...) and (B,T), have the samples in the order that they had before they were packed.
    """
    if x.sorted_indices is not None:
        state = state and {name: tensor[x.sorted_indices] for name, tensor in state.items()}
        resets = None if resets is None else resets[x.sorted_indices]
    activations: list[Tensor] = []
    energies: list[Tensor] = []
    ended: list[Tensors] = []
    row = t = 0
    for samples, steps in _pieces(x.batch_sizes):
        if state is not None:
            ended.append({name: tensor[samples:] for name, tensor in state.items()})
            state = {name: tensor[:samples] for name, tensor in state.items()}
        rows = x.data[row : row + samples * steps].view(steps, samples, -1)
        piece = None if resets is None else resets[:samples, t : t + steps]
        y, state, energy = sequence(rows.transpose(0, 1), state, piece)
        activations.append(y.transpose(0, 1).flatten(0, 1))
        if energy is not None:
            energies.append(energy.transpose(0, 1).flatten(0, 1))
        row += samples * steps
        t += steps
    assert state is not None  # a packed sequence has a step
    ended.append(state)
    final = {name: torch.cat([tensors[name] for tensors in reversed(ended)]) for name in state}
    if x.unsorted_indices is not None:
        final = {name: tensor[x.unsorted_indices] for name, tensor in final.items()}
    return _packed_as(x, activations), final, _packed_as(x, energies) if energies else None


def _packed_as(x: PackedSequence, pieces: list[Tensor]) -> PackedSequence:
    return PackedSequence(torch.cat(pieces), x.batch_sizes, x.sorted_indices, x.unsorted_indices)


def _pieces(batch_sizes: Tensor) -> list[tuple[int, int]]:
    """How many samples, and for how many steps."""
    samples, steps = torch.unique_consecutive(batch_sizes, return_counts=True)
    return list(zip(samples.tolist(), steps.tolist(), strict=True))


def _check_lengths(lengths: Tensor, batch: int, time: int) -> None:
    if not isinstance(lengths, Tensor):
        raise TypeError(f"lengths: expected a Tensor, got {type(lengths).__name__}")
    if lengths.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"lengths: expected torch.int64 or torch.int32, got {lengths.dtype}")
    if lengths.shape != (batch,):
        raise ValueError(f"lengths: expected shape {(batch,)}, got {tuple(lengths.shape)}")
    if batch and not 1 <= int(lengths.min()) <= int(lengths.max()) <= time:
        raise ValueError(f"lengths: expected 1 to {time}, got {int(lengths.min())} to {int(lengths.max())}")
