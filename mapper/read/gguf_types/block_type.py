"""What a tensor type is, the registry of all that there are, and how fields of blocks are read."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rtl.spec.isa import WeightFormat


__all__ = ["TYPES", "BlockType", "Codes", "block_type", "fields", "half"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Codes:
    """Codes of a format with the scales that belong to them, as :class:`~mapper.model.Linear` has
    them."""

    format: WeightFormat
    codes: np.ndarray
    d: np.ndarray
    m: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class BlockType:
    """A tensor type.

    Attributes
    ----------
    number : :class:`int`
        What headers of tensors call it.
    name : :class:`str`
    elements, size : :class:`int`
        Weights, and bytes, of a block.
    format : function of blocks, uint8 (rows, blocks, size)
        Returns the :class:`~rtl.spec.isa.WeightFormat` that a tensor becomes: that of what
        `decode` returns, ``S8`` where those are weights.
    decode : function of blocks, uint8 (rows, blocks, size), and of a format
        Rows of a tensor that becomes that format; all of its rows, if none is given. Returns
        :class:`Codes`, or, where the machine has no such codes, the weights in float32, (rows, K).
        Both stand for the numbers that the library `gguf` computes, bit by bit.
        Infinities and NaN are let through: who calls it checks the numbers.
    """

    number: int
    name: str
    elements: int
    size: int
    format: Callable[[np.ndarray], WeightFormat]
    decode: Callable[..., Codes | np.ndarray]


TYPES: dict[int, BlockType] = {}  # by their numbers


def block_type(
    number,
    *,
    elements,
    size,
    format: WeightFormat | Callable[[np.ndarray], WeightFormat] = WeightFormat.S8,
):
    """Decorator: make a function the decoder of the type that has its name, in capitals.

    `format` is what all its tensors become, or a function, see :class:`BlockType`: then the decoder
    takes the format, too.
    """

    def register(function):
        def format_of(blocks):
            return format if isinstance(format, WeightFormat) else format(blocks)

        def decode(blocks, its=None):
            if isinstance(format, WeightFormat):
                return function(blocks)
            return function(blocks, format(blocks) if its is None else its)

        if number in TYPES:
            raise ValueError(f"Types must differ in their numbers, {number} is there already")
        TYPES[number] = BlockType(
            number=number,
            name=function.__name__.upper(),
            elements=elements,
            size=size,
            format=format_of,
            decode=decode,
        )
        return function

    return register


def half(blocks, at):
    """The half float at a byte of each block, as float32 (rows, blocks)."""
    return np.ascontiguousarray(blocks[..., at : at + 2]).view("<f2")[..., 0].astype(np.float32)


def fields(raw, bits, run):
    """Fields of `bits` bits of bytes (rows, blocks, n), as uint8 (rows, blocks, n * 8 / bits).

    The lowest fields of `run` bytes come first, then the next ones of the same bytes.
    """
    raw = raw.reshape(*raw.shape[:-1], -1, 1, run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return (raw >> shifts & np.uint8((1 << bits) - 1)).reshape(*raw.shape[:-3], -1)
