"""Limits of the machine, each beside the width that it follows from.

A compiler refuses a model beyond them, and tests run the machine at each of them and one beyond
(`tests/test_limits.py`).
"""

from dataclasses import dataclass

from .isa import Append, Attend, Embed, Load, Loop, MatMul, Quant, Stream, Vector
from .numbers import GROUP, UNIT_BYTES, WINDOW


__all__ = [
    "INTEGER_BITS",
    "ACC_BITS",
    "WEIGHT_BITS",
    "NUMERATOR_BITS",
    "DENOMINATOR_BITS",
    "POSITIONS",
    "TOKEN_COUNTERS",
    "TOKEN_COUNTER_BITS",
    "TOKENS_AHEAD",
    "STREAMS_AHEAD",
    "LOOP_DEPTH",
    "PC_BITS",
    "PROGRAM_WORDS",
    "MAX_OUTSTANDING",
    "PAGE",
    "MAX_BURST_UNITS",
    "MAX_BURST_BEATS",
    "EVENT_BITS",
    "EVENTS",
    "UNIT_ADDRESS_BITS",
    "UNITS",
    "ROW_BITS",
    "GROUP_BITS",
    "CENTRE_BITS",
    "HEAD_BITS",
    "QUERY_BITS",
    "CACHE_BITS",
    "LENGTH_BITS",
    "OUTER_BITS",
    "INNER_BITS",
    "COLUMN_BITS",
    "STREAM_BITS",
    "ROWS",
    "GROUPS",
    "HEADS",
    "QUERIES",
    "CACHE",
    "REPETITIONS",
    "INNER",
    "COLUMN",
    "STREAM",
    "LAYERS",
    "LOAD",
    "Limit",
    "LIMITS",
    "markdown",
]


def width(name, *classes):
    """Bits that all of the instructions have for a field."""
    return min(cls.layout[name].width for cls in classes)


def largest(bits):
    """The largest number of so many bits."""
    return (1 << bits) - 1


# Attention: a weight is a table entry below 2**16, a value a byte. No sum over `POSITIONS` of
# them overflows, since a rescaling only makes what is summed already smaller.
WEIGHT_BITS = 16
NUMERATOR_BITS = 40  # signed
DENOMINATOR_BITS = 32
POSITIONS = 1 << min(DENOMINATOR_BITS - WEIGHT_BITS, NUMERATOR_BITS - 1 - 7 - WEIGHT_BITS)

TOKEN_COUNTERS = 16  # token counters; number 0 is none
TOKEN_COUNTER_BITS = 8
TOKENS_AHEAD = largest(TOKEN_COUNTER_BITS)

# STREAMs in their queue: beyond them the sequencer waits, and with it the matrices.
STREAMS_AHEAD = 8

LOOP_DEPTH = 4
PC_BITS = 12
PROGRAM_WORDS = 1 << PC_BITS

PAGE = 4096  # bytes: no AXI4 burst crosses a multiple of it
MAX_BURST_UNITS = PAGE // UNIT_BYTES
MAX_BURST_BEATS = 64  # of a burst of reads
MAX_OUTSTANDING = 15  # writes that memory has yet to confirm
EVENT_BITS = 32  # WEIGHT_BEATS and STARVED
EVENTS = largest(EVENT_BITS)
UNIT_ADDRESS_BITS = 32  # of a unit of DRAM, and of how many there are
UNITS = largest(UNIT_ADDRESS_BITS)

# Widths that units share with the instructions' fields.
ROW_BITS = min(width("rows", MatMul), width("row", Embed))
GROUP_BITS = width("groups", MatMul, Embed)
HEAD_BITS = width("heads", Append, Attend)
QUERY_BITS = width("queries", Attend)
CACHE_BITS = width("stride", Append, Attend)
LENGTH_BITS = width("length", Attend)
OUTER_BITS = width("outer", Vector, Quant)
INNER_BITS = width("inner", Vector, Quant)
COLUMN_BITS = width("stride", MatMul)
STREAM_BITS = width("size", Stream)
ROWS, GROUPS, HEADS, QUERIES, CACHE, REPETITIONS, INNER, COLUMN, STREAM = map(
    largest,
    (
        ROW_BITS,
        GROUP_BITS,
        HEAD_BITS,
        QUERY_BITS,
        CACHE_BITS,
        OUTER_BITS,
        INNER_BITS,
        COLUMN_BITS,
        STREAM_BITS,
    ),
)
LAYERS = largest(width("count", Loop))
LOAD = largest(width("size", Load))

CENTRE_BITS = 3  # of a descriptor's shift of centres
CENTRE = largest(CENTRE_BITS)

# The linear core: no sum of `GROUPS` groups overflows, of whatever format, at any shift of centres.
# `Format.sum_bits` says what one format needs. It is less than the 54 bits that a float64 holds.
INTEGER_BITS = 15  # of the magnitude of a weight's integer, in each format
ACC_BITS = (GROUPS * GROUP * 127).bit_length() + INTEGER_BITS + WINDOW + 1  # signed


@dataclass(frozen=True)
class Limit:
    """One limit: what is counted, the most of it, and the width that it follows from."""

    name: str
    most: int
    width: str


LIMITS = {
    limit.name: limit
    for limit in [
        Limit(
            "positions",
            POSITIONS,
            f"attention's sums: {DENOMINATOR_BITS} bits for denominators, "
            f"{NUMERATOR_BITS} for numerators; `ATTEND.length` has {width('length', Attend)}",
        ),
        Limit("rows", ROWS, "`MATMUL.rows`, `EMBED.row`: a vocabulary, too"),
        Limit(
            "groups",
            GROUPS,
            f"`MATMUL.groups`, in groups of {GROUP} activations; a configuration's "
            f"`act_groups` may be less; {ACC_BITS} bits of an accumulator hold any sum of them",
        ),
        Limit("heads", HEADS, "`ATTEND.heads`, `APPEND.heads`: KV heads"),
        Limit(
            "queries",
            QUERIES,
            "`ATTEND.queries`: query heads in one pass over a KV head; a "
            "configuration's `queries` may be less",
        ),
        Limit("cache", CACHE, "`APPEND.stride`, `ATTEND.stride`: units of one head's KV cache"),
        Limit("repetitions", REPETITIONS, "`VECTOR.outer`: query heads that are rotated at once"),
        Limit("inner", INNER, "`VECTOR.inner`, `QUANT.inner`: words of a vector"),
        Limit(
            "column",
            COLUMN,
            "`MATMUL.stride`: words of the vector memory from column to column; no vector memory "
            "has room for more",
        ),
        Limit("layers", LAYERS, "`LOOP.count`"),
        Limit("tokens", TOKENS_AHEAD, f"a token counter's {TOKEN_COUNTER_BITS} bits"),
        Limit("streams", STREAMS_AHEAD, "STREAM's queue: so many STREAMs wait for their matrices"),
        Limit("loops", LOOP_DEPTH, "the sequencer's stack of loops"),
        Limit(
            "instructions",
            PROGRAM_WORDS,
            "the program counter; a configuration's `program_words` may be less",
        ),
        Limit("load", LOAD, "`LOAD.size`, in units of 16 words"),
        Limit("stream", STREAM, "`STREAM.size`, in units of 64 bytes"),
        Limit(
            "units",
            UNITS,
            f"`MEMORY` and `WRITE_END`, registers of {UNIT_ADDRESS_BITS} bits: DRAM, in "
            "units of 64 bytes",
        ),
        Limit("beats", EVENTS, f"`WEIGHT_BEATS`, a register of {EVENT_BITS} bits"),
        Limit("writes", MAX_OUTSTANDING, "writes that memory has yet to confirm: the writer waits"),
    ]
}


def markdown():
    """Yield the lines of `docs/limits.md`."""
    yield "| Limit | At most | Follows from |"
    yield "|--|--:|--|"
    for limit in LIMITS.values():
        yield f"| {limit.name} | {limit.most:,} | {limit.width} |"
