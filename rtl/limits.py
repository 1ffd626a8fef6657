"""Limits of the machine, each beside the width that it follows from.

A compiler refuses a model beyond them, and tests run the machine at each of them and one beyond
(`tests/test_limits.py`).
"""

from dataclasses import dataclass

from .isa import Append, Attend, Embed, Load, Loop, MatMul, Quant, Stream, Vector


__all__ = ["WEIGHT_BITS", "NUMERATOR_BITS", "DENOMINATOR_BITS", "POSITIONS", "COUNTERS",
           "COUNTER_BITS", "TOKENS_AHEAD", "STREAMS_AHEAD", "LOOP_DEPTH", "PC_BITS", "PROGRAM_WORDS",
           "MAX_OUTSTANDING", "EVENT_BITS", "EVENTS", "ROWS", "GROUPS", "HEADS", "QUERIES",
           "REPETITIONS", "INNER", "COLUMN", "LAYERS", "STREAM",
           "ADDRESS_BITS", "Limit", "LIMITS", "markdown"]


def largest(cls, name):
    """Largest value of an instruction's field."""
    return (1 << cls.layout[name].width) - 1


# Attention: a weight is a table entry below 2**16, a value a byte. No sum over `POSITIONS` of
# them overflows, since a rescaling only makes what is summed already smaller.
WEIGHT_BITS = 16
NUMERATOR_BITS = 40       # signed
DENOMINATOR_BITS = 32
POSITIONS = 1 << min(DENOMINATOR_BITS - WEIGHT_BITS, NUMERATOR_BITS - 1 - 7 - WEIGHT_BITS)

COUNTERS = 16             # token counters; number 0 is none
COUNTER_BITS = 8
TOKENS_AHEAD = (1 << COUNTER_BITS) - 1

STREAMS_AHEAD = 8         # STREAMs in their queue: beyond them the sequencer waits, and with it the matrices

LOOP_DEPTH = 4
PC_BITS = 12
PROGRAM_WORDS = 1 << PC_BITS

MAX_OUTSTANDING = 15      # writes that memory has yet to confirm
EVENT_BITS = 32           # WEIGHT_BEATS and STARVED
EVENTS = (1 << EVENT_BITS) - 1
ADDRESS_BITS = 32         # of a unit of DRAM

ROWS = min(largest(MatMul, "rows"), largest(Embed, "row"))
GROUPS = min(largest(MatMul, "groups"), largest(Embed, "groups"))
HEADS = min(largest(Append, "heads"), largest(Attend, "heads"))
QUERIES = largest(Attend, "queries")
REPETITIONS = min(largest(Vector, "outer"), largest(Quant, "outer"))
INNER = min(largest(Vector, "inner"), largest(Quant, "inner"))
COLUMN = largest(MatMul, "stride")
LAYERS = largest(Loop, "count")
STREAM = largest(Stream, "size")


@dataclass(frozen=True)
class Limit:
    """One limit: what is counted, the most of it, and the width that it follows from."""
    name: str
    most: int
    width: str


LIMITS = {limit.name: limit for limit in [
    Limit("positions", POSITIONS, f"attention's sums: {DENOMINATOR_BITS} bits for denominators, "
                                  f"{NUMERATOR_BITS} for numerators"),
    Limit("rows", ROWS, "`MATMUL.rows`, `EMBED.row`: a vocabulary, too"),
    Limit("groups", GROUPS, "`MATMUL.groups`, in groups of 32 activations; a configuration's "
                            "`act_groups` may be less"),
    Limit("heads", HEADS, "`ATTEND.heads`, `APPEND.heads`: KV heads"),
    Limit("queries", QUERIES, "`ATTEND.queries`: query heads in one pass over a KV head; a "
                              "configuration's `queries` may be less"),
    Limit("repetitions", REPETITIONS, "`VECTOR.outer`: query heads that are rotated at once"),
    Limit("inner", INNER, "`VECTOR.inner`, `QUANT.inner`: words of a vector"),
    Limit("column", COLUMN, "`MATMUL.stride`: words of the vector memory that a column has"),
    Limit("layers", LAYERS, "`LOOP.count`"),
    Limit("tokens", TOKENS_AHEAD, f"a token counter's {COUNTER_BITS} bits"),
    Limit("loops", LOOP_DEPTH, "the sequencer's stack of loops"),
    Limit("instructions", PROGRAM_WORDS, "the program counter; a configuration's `program_words` "
                                         "may be less"),
    Limit("load", largest(Load, "size"), "`LOAD.size`, in units of 16 words"),
    Limit("stream", STREAM, "`STREAM.size`, in units of 64 bytes"),
    Limit("units", 1 << ADDRESS_BITS, "a DRAM address, in units of 64 bytes"),
    Limit("beats", EVENTS, f"`WEIGHT_BEATS`, a register of {EVENT_BITS} bits"),
    Limit("writes", MAX_OUTSTANDING, "writes that memory has yet to confirm: the writer waits"),
]}


def markdown():
    """Yield the lines of `docs/limits.md`."""
    yield "| Limit | At most | Follows from |"
    yield "|--|--:|--|"
    for limit in LIMITS.values():
        yield f"| {limit.name} | {limit.most:,} | {limit.width} |"
