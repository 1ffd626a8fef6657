"""Payloads of the streams between units."""

from amaranth import signed
from amaranth.lib import data

from .isa import WORD_BITS, Insn, Sync, WeightFormat
from .limits import GROUP_BITS, PC_BITS, ROW_BITS, STREAM_BITS, UNIT_ADDRESS_BITS


__all__ = [
    "Dispatched",
    "queue_bits",
    "Fault",
    "ReadRequest",
    "WriteLine",
    "vector_write",
    "Quantized",
    "ActivationWrite",
    "fifth_step",
    "group_scales",
    "WeightStep",
    "Logit",
]


# An instruction in a unit's queue: registers are added already; `pc` is its index in the program.
Dispatched = data.StructLayout({"word": WORD_BITS, "pc": PC_BITS})


def queue_bits(unit):
    """Bits of an instruction, from the lowest, that a unit reads: not the numbers of registers
    behind the fields, since those are added by then.
    """
    return max(
        cls.layout[name].offset + cls.layout[name].width
        for op, cls in Insn.by_op.items()
        if op.value >> 4 == unit.value or cls is Sync
        for name, _ in cls.layout
        if name not in cls.relative.values()
    )


# Raised by a unit, held until reset: `info` says what was wrong (an address, an opcode).
Fault = data.StructLayout({"pc": PC_BITS, "info": 32})

# In units of 64 bytes. The beats come back in order.
ReadRequest = data.StructLayout({"addr": UNIT_ADDRESS_BITS, "size": STREAM_BITS})

# One unit of DRAM, written where the strobe says. The address has a bit more than any unit's: past
# the last of them sums do not wrap to the first, and are refused.
WriteLine = data.StructLayout({"addr": UNIT_ADDRESS_BITS + 1, "data": 512, "strobe": 64})


def vector_write(config):
    """Write to one line (`lanes` words) of the vector memory; `mask` selects words."""
    return data.StructLayout(
        {
            "line": (config.vector_words // config.lanes - 1).bit_length(),
            "mask": config.lanes,
            "data": data.ArrayLayout(32, config.lanes),
        }
    )


def Quantized(config):
    """A run of quantized values of one group, in order; `exponent` belongs to the group."""
    return data.StructLayout(
        {"values": data.ArrayLayout(signed(16), config.lanes), "exponent": 8, "last": 1}
    )  # last run of the group


def ActivationWrite(config):
    """A run of int8 values of one activation group. `clear`: first run of the vector."""
    return data.StructLayout(
        {
            "values": data.ArrayLayout(signed(8), config.lanes),
            "exponent": 8,
            "group": GROUP_BITS,
            "column": 4,
            "clear": 1,
            "last": 1,
        }
    )


def group_scales(config):
    """Fields of a step's scales and centres: one of each row. In groups of 16 a scale is that of
    elements 0 to 15, and the centre the scale of elements 16 to 31."""
    signs = config.has(lambda its: its.signed_scale)
    unsigned_upper = config.has(lambda its: its.unsigned_upper)
    return {
        "scale": data.ArrayLayout(signed(9) if signs else 8, config.scaled_rows),
        "centre": data.ArrayLayout(signed(9 if unsigned_upper else 8), config.scaled_rows),
    }


def fifth_step(config):
    """Fields of what a step carries of the fifth step of its run (TERNARY): whether it does, and
    its place in the run. Of each row it has eight elements, 4 j + `place`, of the group that is
    4 - `place` groups further on."""
    return {"fifth": 1, "place": 2} if config.aside else {}


def WeightStep(config):
    """A step of a matrix (:mod:`rtl.spec.formats`), or a code beat of a sparse one
    (:mod:`rtl.spec.formats.stripes`), with what belongs to it: scale and centre of each row's
    group, 1 and 0 where the format has none. `high` are the bits of codes beyond nibbles
    (:mod:`rtl.spec.formats.nibbles`). `trits` are the fifth step's: of each row (weight >= 0) of
    the eight elements, then (weight > 0)."""
    return data.StructLayout(
        {
            "codes": config.word_bits,
            "high": config.high_bits,
            "format": WeightFormat,
            # of a code beat's slots
            "index": config.word_bits if config.sparse else 0,
            "mode": 3,  # of a code beat's block
            "beat": 4,  # of a code beat: its place in the block
            **fifth_step(config),
            **({"trits": config.word_bits // 4} if config.aside else {}),
            **group_scales(config),
            "group": GROUP_BITS,  # along K, from 0
            "half": 1,  # elements 16-31 of the group (S8, sparse)
            # TERNARY in parts: no word is for it (:mod:`rtl.linear.part_trits`)
            "spare": int(config.parts > 1 and config.has(lambda its: its.name == "TERNARY")),
            "sub": 4,  # of the tile's slices of rows, in order, if it has several
            "first": 1,  # first of a tile's steps, or block's code beats
            "last": 1,
        }
    )  # last of them


# A row of a product, as the best-logits search takes it; `value` is fp32.
Logit = data.StructLayout({"id": ROW_BITS, "value": 32})
