"""Networks of the code published with the paper, from its checkpoints (docs/published.md)."""

import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from ..published import PublishedModel, Variant, from_published_config, read_entries
from .cells import cell_from_config
from .module import Cell

Tensors = dict[str, Tensor]


class SequenceOptions(TypedDict, total=False):
    """What a cell takes beside inputs and a state; `Cell.forward` describes them. An LSTM or RNN has none."""

    resets: Tensor | None
    lengths: Tensor | None


class TorchCell(nn.Module):
    """An LSTM or RNN (tanh) of PyTorch, called as a cell is, with its energy (docs/cells.md, section 2).

    Attributes
    ----------
    rnn
        The `nn.LSTM` or `nn.RNN`, batch first.
    """

    def __init__(self, kind: type[nn.LSTM] | type[nn.RNN], input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.rnn = kind(input_size, hidden_size, batch_first=True)
        self._state_names = ("h", "c") if kind is nn.LSTM else ("h",)

    def forward(
        self, x: Tensor, state: Tensors | None = None, *, energy: bool = False
    ) -> tuple[Tensor, Tensors] | tuple[Tensor, Tensors, Tensor]:
        """y (B,T,H), the final state, `h` and of an LSTM `c` (B,H), and where it is wanted the energy
        (B,T,H), of x (B,T,I)."""
        if state is None:
            state = {name: x.new_zeros(len(x), self.rnn.hidden_size) for name in self._state_names}
        initial = [state[name].unsqueeze(0) for name in self._state_names]
        y, final = self.rnn(x, tuple(initial) if len(initial) > 1 else initial[0])
        tensors = [tensor.squeeze(0) for tensor in (final if len(initial) > 1 else [final])]
        after = dict(zip(self._state_names, tensors, strict=True))
        return (y, after, self._energy(x, state["h"], y)) if energy else (y, after)

    @torch.no_grad()
    def _energy(self, x: Tensor, h: Tensor, y: Tensor) -> Tensor:
        """(10)"""
        before = torch.cat([h.unsqueeze(1), y[:, :-1]], 1)

        def conductances(weight: Tensor) -> Tensor:
            return weight.abs().reshape(-1, self.rnn.hidden_size, weight.shape[1]).sum(0)

        of_inputs, of_neurons = map(conductances, self.rnn.all_weights[0][:2])
        used: Tensor = x.square() @ of_inputs.T + before.square() @ of_neurons.T
        return used


class PublishedNetwork(nn.Module):
    """A network of the published code: a cell, and linear maps that read it in every step.

    Attributes
    ----------
    model
        Its description; `model.ignored` has what the checkpoint, too, holds without effect.
    cell
        A cell of `stpn_swift.torch`, a `SquashedCell` where F went through the activation, or a `TorchCell`.
    readouts
        `hidden2tag`, whose outputs are the logits of associative retrieval; of a maze `h2o`, the logits of
        the policy, and `h2v`, the value.
    """

    def __init__(self, model: PublishedModel, cell: nn.Module, readouts: Mapping[str, nn.Linear]) -> None:
        super().__init__()
        self.model = model
        self.cell = cell
        self.readouts = nn.ModuleDict(readouts)

    def forward(
        self, x: Tensor, state: Tensors | None = None, **options: Unpack[SequenceOptions]
    ) -> tuple[Tensors, Tensors]:
        """The outputs (B,T,·) of the readouts by name, and the state after the last step, of x (B,T,I)."""
        y, state = self.cell(x, state, **options)
        return {name: readout(y) for name, readout in self.readouts.items()}, state

    def energy(self, x: Tensor, state: Tensors | None = None, **options: Unpack[SequenceOptions]) -> Tensor:
        """The energy that each neuron of the cell uses in each step, (B,T,H), without a gradient."""
        with torch.no_grad():
            used: Tensor = self.cell(x, state, energy=True, **options)[2]
        return used


def load_published(
    checkpoint: str | os.PathLike[str] | Mapping[str, Tensor],
    config: Mapping[str, Any] | str | os.PathLike[str] | None = None,
    *,
    variant: Variant = "published",
) -> PublishedNetwork:
    """A network of the code published with the paper, with the parameters of its checkpoint.

        network = load_published("stpnr.pth", pathlib.Path("stpnr.json"))
        outputs, state = network(x)
        logits = outputs["hidden2tag"][:, -1]

    Parameters
    ----------
    checkpoint
        The path of a file, or the state_dict in it. Nothing is unpickled but tensors.
    config
        Its configuration, as for `stpn_swift.from_published_config`; None for the stand-alone demo, which has
        none. The input size is that of the checkpoint; where the configuration has one, the same.
    variant
        "published" for what the network did in its experiments, "paper" for the equations of the paper.

    Returns
    -------
    network
        In float64 where the checkpoint is, otherwise in float32.

    Raises
    ------
    TypeError
        `checkpoint` or `config` is of a type that is not taken.
    ValueError
        The file is no checkpoint, or entries are missing, unexpected or of another shape than the
        configuration's network has, or the configuration is refused.
    OSError
        A file cannot be read.
    """
    tensors = _read(checkpoint)
    prefix = next((p for p in ("rnn.rnn.", "rnn.") if any(name.startswith(p) for name in tensors)), "")
    of_cell = _below(tensors, prefix)
    model = _describe(config, variant, of_cell, prefix)
    H = model.config["hidden_size"]
    if model.config.get("bias") is False and tensors.pop(f"{prefix}bias", None) is not None:
        sentence = f"{prefix}bias has no effect: the network has no bias"
        model = replace(model, ignored=(*model.ignored, sentence))

    dtype = torch.float64 if any(t.dtype == torch.float64 for t in tensors.values()) else torch.float32
    cell = _make_cell(model, dtype)
    readouts = {name: _make_readout(tensors, name, H, dtype) for name in _readout_names(tensors)}
    shapes = _shapes(model, cell, of_cell)
    expected = {f"{prefix}{name}": shape for name, shape in shapes.items()}
    for name, readout in readouts.items():
        expected |= {f"{name}.{entry}": tuple(p.shape) for entry, p in readout.named_parameters()}
    _check(tensors, expected)

    values = {name: tensors[name].reshape(shape).to(dtype) for name, shape in expected.items()}
    _fill(cell, model, {name: values[f"{prefix}{name}"] for name in shapes})
    for name, readout in readouts.items():
        readout.load_state_dict(_below(values, f"{name}."))
    return PublishedNetwork(model, cell, readouts)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """Those whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def _read(checkpoint: str | os.PathLike[str] | Mapping[str, Tensor]) -> Tensors:
    entries: object = checkpoint
    if not isinstance(checkpoint, (str, os.PathLike, Mapping)):
        raise TypeError(f"checkpoint: expected a path or a state_dict, got {type(checkpoint).__name__}")
    if not isinstance(checkpoint, Mapping):
        file = io.BytesIO(Path(checkpoint).read_bytes())
        try:
            entries = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of many types, whatever it is in these bytes that torch does not take
            reason = str(error).partition("\n")[0] or type(error).__name__
            if isinstance(error, UnpicklingError):  # of which torch says how to unpickle it all the same
                reason = "it holds more than tensors, or is damaged"
            raise ValueError(
                f"checkpoint: expected a state_dict in a file, got {checkpoint}: {reason}"
            ) from None
    if not isinstance(entries, Mapping):
        raise ValueError(f"checkpoint: expected a state_dict, got {type(entries).__name__}")
    for name, tensor in entries.items():
        if not (isinstance(name, str) and isinstance(tensor, Tensor) and tensor.is_floating_point()):
            kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise ValueError(f"checkpoint: expected tensors of real numbers by name, got {name!r}: {kind}")
        if tensor.layout is not torch.strided or tensor.is_meta:
            found = f"{tensor.layout} on {tensor.device}"
            raise ValueError(f"checkpoint: expected dense tensors, got {name!r}: {found}")
    return {name: tensor.detach() for name, tensor in entries.items()}


def _describe(config: Any, variant: Variant, tensors: Tensors, prefix: str) -> PublishedModel:
    """The network of a configuration, or the demo's, in the sizes of the cell's tensors."""
    if config is not None:
        entries = read_entries(config)
        model = from_published_config(entries, variant=variant)
        input_size = _input_size(model.config, tensors)
        stated = _stated_size(entries)
        if stated is not None and input_size not in (None, stated):
            raise ValueError(
                f"data.dict_size: expected {input_size}, the input size of the checkpoint, got {stated}"
            )
        return from_published_config(entries, input_size=input_size, variant=variant)
    if prefix or "weight" not in tensors or tensors["weight"].ndim != 2:
        raise ValueError("config: expected one, got None, which is for the stand-alone demo alone")
    cell = {"cell": "stpn", "recurrent": True, "hidden_size": len(tensors["weight"])}
    input_size = _input_size(cell, tensors)
    if input_size is None:
        raise ValueError(f"checkpoint: expected weight (H, I+H), got {tuple(tensors['weight'].shape)}")
    return PublishedModel(variant, "demo", {**cell, "input_size": input_size})


def _stated_size(entries: Mapping[str, Any]) -> int | None:
    """That which a configuration of retrieval has, or None."""
    if entries.get("model") is None:
        return None
    size: int | None = (entries.get("data") or {}).get("dict_size")
    return size


def _input_size(config: Mapping[str, Any], tensors: Tensors) -> int | None:
    """That which the cell's weights have, or None, where they cannot be of the cell."""
    kind, H = config["cell"], config["hidden_size"]
    name, recurrent = "weight", config.get("recurrent", kind != "modulated")
    if kind == "modulated":
        name = "i2h.weight"
    elif f"{name}_ih_l0" in tensors:
        name, recurrent = "weight_ih_l0", False
    weight = tensors.get(name)
    if weight is None or weight.ndim != 2:
        return None
    size = weight.shape[0 if kind == "rnn" and recurrent else 1] - (H if recurrent else 0)
    return size if size > 0 else None


def _make_cell(model: PublishedModel, dtype: torch.dtype) -> Cell | TorchCell:
    config = model.config
    kinds: dict[str, type[nn.LSTM] | type[nn.RNN]] = {"lstm": nn.LSTM, "rnn": nn.RNN}
    if config["cell"] in kinds:
        return TorchCell(kinds[config["cell"]], config["input_size"], config["hidden_size"]).to(dtype)
    return cell_from_config({**config, "squashed": model.squashed}, dtype=dtype)


def _readout_names(tensors: Tensors) -> list[str]:
    maze = any(name.startswith(("h2o.", "h2v.")) for name in tensors)
    return ["h2o", "h2v"] if maze else ["hidden2tag"]


def _make_readout(tensors: Tensors, name: str, hidden_size: int, dtype: torch.dtype) -> nn.Linear:
    """With as many outputs as its tensors have."""
    weight = tensors.get(f"{name}.weight")
    outputs = len(weight) if weight is not None and weight.ndim == 2 else 1
    return nn.Linear(hidden_size, outputs, dtype=dtype)


_PUBLISHED_NAMES = {
    "raw_lambda": "_weight_lambda",
    "raw_gamma": "_weight_gamma",
    "norm_gain": "g_weight_norm",
}


def _shapes(model: PublishedModel, cell: Cell | TorchCell, tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Of the cell's entries, by their published names."""
    sizes, H = model.config, model.config["hidden_size"]
    if isinstance(cell, Cell):
        learned = {name: p for name, p in cell.named_parameters() if name not in model.fixed}
        return {_PUBLISHED_NAMES.get(name, name): tuple(p.shape) for name, p in learned.items()}
    if "weight_ih_l0" in tensors:
        return {name: tuple(p.shape) for name, p in cell.rnn.named_parameters()}
    K = sizes["input_size"] + H
    return (
        {"weight": (4 * H, K), "bias": (4 * H,)}
        if sizes["cell"] == "lstm"
        else {"weight": (K, H), "bias": (H,)}
    )


def _check(tensors: Tensors, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Shapes may differ in dimensions of 1: a scalar is stored as (1), a gain as (H,1)."""

    def significant(shape: Iterable[int]) -> list[int]:
        return [size for size in shape if size != 1]

    wrong = [f"{name} missing" for name in expected if name not in tensors]
    wrong += [f"{name} unexpected" for name in tensors if name not in expected]
    for name, shape in expected.items():
        if name in tensors and significant(tensors[name].shape) != significant(shape):
            wrong.append(f"{name} {tuple(tensors[name].shape)} in the place of {shape}")
    if wrong:
        entries = ", ".join(f"{name} {shape}" for name, shape in expected.items())
        raise ValueError(f"checkpoint: expected {entries}; got {'; '.join(wrong)}")


def _fill(cell: Cell | TorchCell, model: PublishedModel, values: Tensors) -> None:
    """The parameters of the cell from the entries of a checkpoint, and those that are not learned."""
    if isinstance(cell, TorchCell):
        if "weight" in values:  # one bias, where PyTorch has the sum of two
            values = _in_torch(model, values)
            cell.rnn.bias_hh_l0.requires_grad_(False)
        cell.rnn.load_state_dict(values)
        return
    parameters = dict(cell.named_parameters())
    with torch.no_grad():
        for name, parameter in parameters.items():
            if name in model.fixed:
                parameter.fill_(model.fixed[name]).requires_grad_(False)
            else:
                parameter.copy_(values[_PUBLISHED_NAMES.get(name, name)])


def _in_torch(model: PublishedModel, values: Tensors) -> Tensors:
    """The parameters of an nn.LSTM or nn.RNN, the second bias 0."""
    weight = values["weight"] if model.config["cell"] == "lstm" else values["weight"].T
    of_inputs, of_neurons = weight.tensor_split([model.config["input_size"]], 1)
    biases = {"bias_ih_l0": values["bias"], "bias_hh_l0": torch.zeros_like(values["bias"])}
    return {"weight_ih_l0": of_inputs, "weight_hh_l0": of_neurons, **biases}
