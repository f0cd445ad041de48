"""Writing in place, so that neither values nor gradients are ever silently wrong.

A write changes memory, and notes its time there: a rule that still needs the old values will see
it and refuse. In the graph the written tensor simply becomes the result of the operation. Where the
memory belongs to another tensor (a view was written to), that base becomes the result of
`overwrite`, and its views find their way again from there (`tensor.current_node`).
"""

import math

import numpy as np

from ..graph import grad_mode, touch
from ..primitive import cast, primitive
from ..tensor import Tensor, current_node, replace_node, wrap
from .elementwise import where
from .indexing import getitem
from .shaping import reshape_to


def write(tensor, primitive, *args, **options):
    """Replace the values of `tensor` by those of `primitive(tensor, *args)`, in its memory and in the graph."""
    refuse(tensor, primitive.__name__)
    # The rules may need the old values, which are about to be lost.
    tracked = grad_mode.enabled and any(isinstance(t, Tensor) and t.requires_grad for t in (tensor, *args))
    before = wrap(tensor.array.copy() if tracked else tensor.array, current_node(tensor))
    after = primitive(before, *args, **options)
    if after.shape != tensor.shape:
        raise RuntimeError(f"{primitive.__name__}_(): the result has shape {after.shape}, the tensor written to {tensor.shape}")
    if not np.can_cast(after.dtype, tensor.dtype, "same_kind"):
        raise RuntimeError(f"{primitive.__name__}_(): a result of dtype {after.dtype} cannot be written to {tensor.dtype}")
    if after.dtype != tensor.dtype:
        after = cast(after, dtype=tensor.dtype)
    touch(tensor.array)
    np.copyto(tensor.array, after.array)
    if tensor.view_of is not None:
        record_write(tensor.view_of.base, after, tensor.view_of.steps)
    elif grad_mode.enabled:
        replace_node(tensor, after.node)
    return tensor


def write_part(tensor, value, step):
    """Write `value` to the part of `tensor` that the selection `step` = (primitive, options) names."""
    refuse(tensor, "setitem")
    base, steps, _ = tensor.view_of or (tensor, (), None)
    part = step[0](tensor.array, **step[1])
    while value.ndim > part.ndim and value.shape[0] == 1:
        value = reshape_to(value, shape=value.shape[1:])
    try:
        np.broadcast_to(value.array, part.shape)
    except ValueError:
        raise RuntimeError(f"setitem: a value of shape {value.shape} does not fit a place of shape {part.shape}") from None
    if not np.can_cast(value.dtype, tensor.dtype, "same_kind"):
        raise TypeError(f"setitem: values of dtype {value.dtype} cannot be written to {tensor.dtype}")
    if value.dtype != tensor.dtype:
        value = cast(value, dtype=tensor.dtype)
    touch(tensor.array)
    tensor.array[step[1]["index"]] = value.array
    record_write(base, value, (*steps, step))


def refuse(tensor, name):
    """Raise where a write would lose a gradient or hit memory that several elements share."""
    base = tensor if tensor.view_of is None else tensor.view_of.base
    if grad_mode.enabled and any(t.requires_grad and t.is_leaf for t in (base, tensor)):
        raise RuntimeError(
            f"{name}_(): a leaf that requires grad cannot be changed in place while calls are recorded. "
            "Change it under no_grad(), or work on a clone()"
        )
    if not tensor.array.flags.writeable:
        raise RuntimeError(f"{name}_(): the memory is read-only or shared by several elements (expand()). Use a clone()")


def record_write(base, value, steps):
    """Give `base`, into which `value` has been written at `steps`, a node that knows of both."""
    if grad_mode.enabled and (base.node is not None or value.requires_grad):
        replace_node(base, overwrite(wrap(base.array, base.node), value, steps=steps).node)


def positions(x, steps):
    """The flat positions in `x` that the selections `steps` lead to, and a mask of them."""
    index = np.arange(math.prod(x.shape)).reshape(x.shape)
    for selection, options in steps:
        index = selection(index, **options)
    mask = np.zeros(x.shape, bool)
    mask.reshape(-1)[index] = True
    return index, mask


def _written(grad, _out, _x, _value, *, steps):
    """The gradient at the places written to; where several values went to one place, for the last of them."""
    index, mask = positions(_x, steps)
    grad = getitem(reshape_to(grad, shape=(-1,)), index=(index,))
    if index.size == np.count_nonzero(mask):
        return grad
    turn = np.arange(index.size).reshape(index.shape)
    last = np.empty(mask.size, int)
    last[index] = turn
    return where(last[index] == turn, grad, 0.0)


overwrite = primitive(lambda x, value, steps: x, "setitem")
overwrite.vjps(lambda grad, _out, _x, _value, *, steps: where(positions(_x, steps)[1], 0.0, grad), _written)
