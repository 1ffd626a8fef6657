"""From packed integers, zero points and scales to codes of the machine."""

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from ...model import ODD
from ..bounds import brief
from ..gguf_types import Codes


__all__ = ["affine", "format_of", "group_count", "groups_by_column", "unpack"]


def unpack(words, bits, count):
    """Fields of `bits` bits, 1 to 8, of int32 (rows, words), the lowest bits first and no bits
    between them: uint8 (rows, count)."""
    raw = np.ascontiguousarray(words).view(np.uint8)
    octets = np.pad(raw, ((0, 0), (0, -raw.shape[1] % bits))).reshape(len(raw), -1, bits)
    fields = np.empty((*octets.shape[:2], 8), np.uint8)  # eight of them fill `bits` bytes
    for n in range(8):
        at, shift = divmod(n * bits, 8)
        field = octets[..., at] >> shift
        if shift + bits > 8:
            field |= octets[..., at + 1] << (8 - shift)
        fields[..., n] = field & ((1 << bits) - 1)
    return fields.reshape(len(raw), -1)[:, :count]


def group_count(layout, key, size, depth):
    """How many groups of `size` weights, -1 for all, the rows of a matrix have; `key` names
    `size`."""
    if size == -1:
        return 1
    if depth % size:
        layout.refuse(f"{key!r} must divide the {depth} columns of a matrix, not {brief(size)}")
    return depth // size


def groups_by_column(tensor, groups, depth):
    """The group of each column, int32 (K,), or None if they come in turn."""
    index = tensor.raw(["I32"], "as groups of columns are")
    if index.min() < 0 or index.max() >= groups:
        raise UserError(
            f"{tensor.path}: tensor {tensor.name!r} must have groups below {groups}, not "
            f"{index.min() if index.min() < 0 else index.max()}; get the file again"
        )
    in_turn = np.array_equal(index, np.arange(depth) // (depth // groups))
    return None if in_turn else index


def format_of(bits, index=None):
    """The format that codes of `bits` bits become. `index` is of :func:`groups_by_column`."""
    return ODD[bits] if bits in ODD and index is None else WeightFormat.S8


def affine(bits, codes, zeros, scales, index=None):
    """Weights scale * (code - zero): :class:`~mapper.read.gguf_types.Codes`, or float32 (rows, K)
    where columns have scales each, or a code of more than 4 bits less its zero is no byte.

    Exact for scales of at most 16 bits; else, d and m are rounded to float32.

    Parameters
    ----------
    codes : uint8 (rows, K)
        Of `bits` bits.
    zeros : integers (rows, groups)
    scales : float32 (rows, groups)
    index : int32 (K,) or None
        The group of each column, where they are not in turn.
    """
    if index is not None:
        return (codes.astype(np.int16) - zeros[:, index]) * scales[:, index]
    fmt, repeat = format_of(bits), codes.shape[1] // GROUP // scales.shape[1]
    if fmt != WeightFormat.S8:
        d = np.repeat(scales, repeat, 1)
        m = np.repeat(zeros, repeat, 1).astype(np.float32) * -d
        return Codes(format=fmt, codes=codes, d=d, m=m)
    signed = codes.reshape(*scales.shape, -1).astype(np.int16) - zeros[..., None]
    # -128 has no mirror, which a negative scale needs.
    least = np.where(scales < 0, np.int16(-127), np.int16(-128))[..., None]
    if (signed < least).any() or signed.max() > 127:
        return (signed * scales[..., None]).reshape(codes.shape)
    d = scales if scales.shape[1] == 1 else np.repeat(scales, repeat, 1)
    return Codes(format=fmt, codes=signed.astype(np.int8).reshape(codes.shape), d=d)
