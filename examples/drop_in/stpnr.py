"""Short-term plasticity neurons written out in PyTorch, as one writes a cell for a first experiment."""

import torch
from torch import Tensor, nn


class STPNR(nn.Module):
    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        K = input_size + hidden_size
        self.hidden_size = hidden_size
        self.weight = nn.Parameter(torch.empty(hidden_size, K).uniform_(-0.1, 0.1))
        self.bias = nn.Parameter(torch.zeros(hidden_size))
        self.weight_lambda = nn.Parameter(torch.rand(hidden_size, K))
        self.weight_gamma = nn.Parameter(torch.empty(hidden_size, K).uniform_(-1e-3, 1e-3))

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """y (B,T,H) and the final state of x (B,T,I)."""
        h = x.new_zeros(x.shape[0], self.hidden_size)
        F = x.new_zeros(x.shape[0], *self.weight.shape)
        y = []
        for x_t in x.unbind(1):
            v = torch.cat([x_t, h], 1)
            G = self.weight + F
            n = G.norm(dim=2) + 1e-16
            h = torch.tanh((G @ v.unsqueeze(2)).squeeze(2) / n + self.bias)
            F = self.weight_lambda * F / n.unsqueeze(2) + self.weight_gamma * h.unsqueeze(2) * v.unsqueeze(1)
            y.append(h)
        return torch.stack(y, 1), {"h": h, "F": F}
