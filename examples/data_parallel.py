"""Associative retrieval in PyTorch by several processes, each with its share of every batch.

torchrun --standalone --nproc-per-node 2 examples/data_parallel.py --updates 200

The network is that of retrieval_torch.py. Its gradients, and so what it learns, are those of one process with
the whole batch, up to the last digits.
"""

import argparse
import os
from datetime import timedelta

import numpy as np
import stpn_swift
import torch
import torch.distributed as dist
import torch.distributed.nn  # see `main`
from retrieval_torch import Retrieval, tensors
from safetensors.torch import save_file
from stpn_swift.experiments.retrieval_data import generate
from torch import nn
from torch.nn.parallel import DistributedDataParallel


def train(options: argparse.Namespace) -> None:
    rank, processes = dist.get_rank(), dist.get_world_size()
    torch.set_default_dtype(torch.float64 if options.float64 else torch.float32)
    torch.manual_seed(0)
    model = DistributedDataParallel(Retrieval(options.hidden_size))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    random = np.random.default_rng(0)
    for update in range(1, options.updates + 1):
        share = generate(options.batch, random)[slice(rank, None, processes)]
        x, answers = tensors(share)
        loss = nn.functional.cross_entropy(model(x.to(torch.get_default_dtype())), answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % 50 == 0 or update == options.updates:
            mean = loss.detach() / processes
            dist.all_reduce(mean)
            if rank == 0:
                print(f"update {update:4}   loss {mean.item():.6f}", flush=True)
    if rank == 0 and options.gradients is not None:
        save_file({name: p.grad for name, p in model.module.named_parameters()}, options.gradients)


def main() -> None:
    """Train between the beginning and the end of the process group, whose threads must not outlive it.

    One that lets go of its last work while the interpreter ends aborts the process
    (https://github.com/pytorch/pytorch/issues/190489). `destroy_process_group` waits for them if nothing else
    has the group: neither the model nor `torch.distributed.nn`, whose functions have as a default argument
    the group that there is when it is imported, which PyTorch does when it needs it.
    """
    parser = argparse.ArgumentParser(description="Train STPNR on associative retrieval in several processes.")
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128, help="of all processes together")
    parser.add_argument("--hidden-size", type=int, default=11)
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--gradients", help="file for those of the last update, .safetensors")
    options = parser.parse_args()

    dist.init_process_group("gloo", timeout=timedelta(minutes=5))
    processes = dist.get_world_size()
    if options.batch % processes:
        parser.error(f"--batch: expected a multiple of {processes}, the number of processes")
    stpn_swift.set_num_threads(max(1, (os.cpu_count() or 1) // processes))
    train(options)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
