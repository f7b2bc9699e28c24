"""Over which axes of a mesh arrays vary, which `jax.shard_map` keeps track of."""

from typing import Any, TypeVar

import jax
from jax.core import ShapedArray
from jax.sharding import NamedSharding, PartitionSpec

Arrays = TypeVar("Arrays")


def vary_alike(arrays: Arrays) -> Arrays:
    """Over the axes that any of them varies over. The gradient of one that is the same on every shard is then
    the sum of theirs. A pytree of arrays; where it is a dict, it comes back in the order of its keys."""
    if not jax.sharding.get_abstract_mesh().manual_axes:  # outside of it
        return arrays
    every = frozenset[Any]().union(*map(_axes_of, jax.tree.leaves(arrays)))

    def vary(array: Any) -> Any:
        return jax.lax.pcast(array, (*every - _axes_of(array),), to="varying")

    varying: Arrays = jax.tree.map(vary, arrays)
    return varying


def _axes_of(array: Any) -> frozenset[Any]:
    axes: frozenset[Any] = jax.typeof(array).mat.varying
    return axes


def varying_as(like: Any, one: Any) -> ShapedArray:
    """An array of the shape and dtype of the one that varies as the other does."""
    sharding = NamedSharding(like.sharding.mesh, PartitionSpec())
    made: ShapedArray = like.update(one.shape, one.dtype, weak_type=False, sharding=sharding)
    return made
