"""Trains a network to recall which of its inputs came first, and prints the loss of each update."""

import torch
from stpnr import STPNR
from torch import Tensor, nn

BATCH, TIME, SYMBOLS, HIDDEN, UPDATES = 32, 8, 6, 12, 50


class Recall(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = STPNR(SYMBOLS, HIDDEN)
        self.readout = nn.Linear(HIDDEN, SYMBOLS)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.cell(x)
        return self.readout(y[:, -1])


torch.set_default_dtype(torch.float64)
model = Recall()
torch.manual_seed(0)
for parameter in model.parameters():
    nn.init.uniform_(parameter, -0.5, 0.5)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for _ in range(UPDATES):
    symbols = torch.randint(SYMBOLS, (BATCH, TIME))
    x = nn.functional.one_hot(symbols, SYMBOLS).to(torch.get_default_dtype())
    loss = nn.functional.cross_entropy(model(x), symbols[:, 0])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
