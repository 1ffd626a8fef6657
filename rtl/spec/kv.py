"""The KV cache in DRAM: where the key and the value of a position lie.

A head of a layer has blocks of 32 positions (:data:`~.numbers.KV_BLOCK`), one after the other. Of a
block are, in order:

* one unit of 64 bytes: the exponents of its keys, a byte each, then those of its values;
* the keys, a line of ``head_dim`` int8 elements for each position;
* the values, likewise.

Instructions have a head's first unit (``APPEND`` and ``ATTEND``, ``addr`` and ``stride``). The
mapper lays heads, then layers, one after the other: the key of position p of head h and its value
begin, in units from those of the layer on, at ::

    block = h * head_units + p // 32 * kv_block_units
    key   = block + 1 + p % 32 * head_dim / 64
    value = block + 1 + (32 + p % 32) * head_dim / 64

with the names of :class:`mapper.dram_layout.Cache`.

A layer that attends to a window of the last positions needs no more blocks than may hold one. Its
heads' blocks are rings: the block of positions 32 n to 32 n + 31 is followed by the next one, and
the last of the ring by the first, which holds positions that no window has any more.
"""

from .numbers import KV_BLOCK, UNIT_BYTES


__all__ = ["block_units", "first_position", "ring_blocks", "blocks"]


def block_units(head_dim):
    """Units of a block of 32 positions."""
    return 1 + 2 * KV_BLOCK * head_dim // UNIT_BYTES


def first_position(length, window):
    """The first of the last `window` of `length` positions; with a window of 0, the first."""
    return max(0, length - window) if window else 0


def ring_blocks(length, window):
    """Blocks that a ring needs at any position up to `length`: a window begins anywhere in one."""
    return -(-min(length, window + KV_BLOCK - 1) // KV_BLOCK)


def blocks(units, addr, stride, length, window, newest):
    """Addresses of a head's blocks that hold the positions from :func:`first_position` on.

    Parameters
    ----------
    units : :class:`int`
        :func:`block_units`.
    addr, stride, length, window, newest : :class:`int`
        Fields of :class:`~.isa.Attend`.
    """
    count = (length - 1) // KV_BLOCK - first_position(length, window) // KV_BLOCK + 1
    if not window:
        return [addr + n * units for n in range(count)]
    return [addr + (newest - addr - n * units) % stride for n in reversed(range(count))]
