"""The KV cache in DRAM: where the key and the value of a position lie.

A head of a layer has blocks of 32 positions (:data:`~.numbers.KV_BLOCK`), one after the other. Of a
block are, in order:

* one unit of 64 bytes: the exponents of its keys, a byte each, then those of its values;
* the keys, a line of ``head_dim`` int8 elements for each position;
* the values, likewise.

Instructions have a head's first unit (``APPEND`` and ``ATTEND``, ``addr`` and ``stride``). The
mapper lays heads, then layers, one after the other: the key of position p of head h in layer n
and its value begin, in units, at ::

    block = kv + n * kv_layer_units + h * kv_head_units + p // 32 * kv_block_units
    key   = block + 1 + p % 32 * head_dim / 64
    value = block + 1 + (32 + p % 32) * head_dim / 64

with the names of :class:`mapper.dram_layout.MemoryMap`.
"""

from .numbers import KV_BLOCK, UNIT_BYTES


__all__ = ["block_units"]


def block_units(head_dim):
    """Units of a block of 32 positions."""
    return 1 + 2 * KV_BLOCK * head_dim // UNIT_BYTES
