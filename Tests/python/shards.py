"""Cells under `jax.shard_map`, against the same without shards.

    python Tests/python/shards.py callback

computes them by a callback; the custom calls of "ffi" are in a library, the second argument. A process of its
own, as XLA reads but once into how many devices it is to divide the CPU.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4"

import jax as jax_
import jax.numpy as jnp
import numpy as np
import stpn_swift.jax
from stpn_swift.jax import ffi

jax: Any = jax_  # which has no types for much of what is called here
P = jax.sharding.PartitionSpec
jax.config.update("jax_enable_x64", True)
B, T, I, H = 4, 5, 3, 2  # noqa: E741
MESH = jax.sharding.Mesh(np.array(jax.devices()).reshape(2, 2), ("batch", "seed"))
EVERYWHERE, BATCH, SEED = P(), P("batch"), P("seed")


def draw_cell(key: Any) -> Any:
    backend: Any = sys.argv[1]
    return stpn_swift.jax.STPNR(I, H, key=key, backend=backend)


def loss(cell: Any, x: Any, state: Any = None, resets: Any = None) -> Any:
    """Of all outputs."""
    y, final = cell(x, state, resets)
    return jnp.sum(jnp.sin(y)) + sum(jnp.sum(jnp.cos(array)) for array in final.values())


def check(expected: Callable[..., Any], function: Callable[..., Any], *inputs: Any, specs: Any) -> None:
    """The sum of a function over the shards that differ, and the gradients for its three inputs."""
    axes = {axis for spec in specs for axis in spec}

    def summed(*inputs: Any) -> Any:
        return jax.lax.psum(function(*inputs), (*axes,))

    def gradients(*inputs: Any) -> Any:
        return jax.grad(summed, range(3))(*inputs)

    sharded = jax.shard_map(summed, mesh=MESH, in_specs=specs, out_specs=EVERYWHERE)
    inside = jax.shard_map(gradients, mesh=MESH, in_specs=specs, out_specs=specs[:3])
    value, wanted = quick(jax.value_and_grad(expected, range(3)))(*inputs)
    close(quick(jax.value_and_grad(sharded, range(3)))(*inputs), (value, wanted))
    close(quick(inside)(*inputs), wanted)


def quick(function: Callable[..., Any]) -> Any:
    """Compiled in little time."""
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(function, compiler_options=options)


def close(actual: Any, expected: Any) -> None:
    for one, other in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def main() -> None:
    keys = jax.random.split(jax.random.key(0), 5)
    cell, cells = draw_cell(keys[0]), jax.vmap(draw_cell)(keys[:2])
    x = jax.random.normal(keys[2], (B, T, I))
    resets = jax.random.uniform(keys[3], (B, T)) < 0.3
    state = {name: jax.random.normal(keys[4], zero.shape) / 3 for name, zero in cell.initial_state(B).items()}
    half = {name: array[: B // 2] for name, array in state.items()}

    def of_halves(cell: Any, x: Any, half: Any, resets: Any) -> Any:
        return loss(cell, x[: B // 2], half, resets[: B // 2]) + loss(
            cell, x[B // 2 :], half, resets[B // 2 :]
        )

    def of_seed(cells: Any, x: Any, state: Any, resets: Any) -> Any:
        return loss(jax.tree.map(lambda array: array[0], cells), x, state, resets)

    def of_seeds(cells: Any, *others: Any) -> Any:
        return jax.vmap(loss, in_axes=(0, None, None, None))(cells, *others).sum()

    check(loss, loss, cell, x, state, resets, specs=(EVERYWHERE, BATCH, BATCH, BATCH))
    check(of_halves, loss, cell, x, half, resets, specs=(EVERYWHERE, BATCH, EVERYWHERE, BATCH))
    check(of_seeds, of_seed, cells, x, state, resets, specs=(SEED, EVERYWHERE, EVERYWHERE, EVERYWHERE))
    check(of_seeds, of_seed, cells, x, state, resets, specs=(SEED, BATCH, BATCH, BATCH))

    def outputs(cell: Any, x: Any) -> Any:
        return cell(x, energy=True)

    sharded = jax.shard_map(outputs, mesh=MESH, in_specs=(EVERYWHERE, BATCH), out_specs=BATCH)
    close(sharded(cell, x), outputs(cell, x))
    each = jax.shard_map(
        jax.vmap(outputs, (None, 0)), mesh=MESH, in_specs=(EVERYWHERE, BATCH), out_specs=BATCH
    )
    close(each(cell, x), outputs(cell, x))
    try:
        jax.shard_map(loss, mesh=MESH, in_specs=(EVERYWHERE, BATCH), out_specs=EVERYWHERE)(cell, x)
    except ValueError as error:
        assert "batch" in str(error)
    else:
        raise AssertionError("a result of one shard passed for that of all")


if len(sys.argv) > 2:
    ffi.load(Path(sys.argv[2]))
main()
