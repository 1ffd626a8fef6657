"""The instructions: each a class that declares its fields, and whose docstring defines it.

docs/isa.md has every bit's place, the fields that all have included.
"""

from .encoding import Insn, bits, one_of, reg
from .enums import Dest, Func, Op, Unit, WeightFormat


__all__ = [
    "Halt",
    "Loop",
    "Scalar",
    "Token",
    "Sync",
    "Load",
    "Stream",
    "MatMul",
    "Embed",
    "Vector",
    "Quant",
    "Append",
    "Attend",
]


# Fields are tables.
# fmt: off

# Control: executed by the sequencer itself, in program order.

class Halt(Insn, op=Op.HALT):
    """Wait until every queue is empty and every unit idle, then stop."""


class Loop(Insn, op=Op.LOOP):
    """Execute the next `length` instructions `count` + source times; none at all when that is 0.

    Loops nest four deep; a body's last instruction may not be another loop's last.
    """
    length: int = bits(12, "Instructions in the body, at least one.")
    count:  int = bits(16, "Times to execute it.")
    source: int = bits(4,  "Register, or :class:`Source`, added to `count`.")


class Scalar(Insn, op=Op.SCALAR):
    """rd = (source >> shift) * factor + offset + plus, modulo 2**32. Register 0 stays 0."""
    rd:     int = bits(3,  "Register written.")
    source: int = bits(4,  "Register, or :class:`Source`.")
    shift:  int = bits(5,  "Right shift, in bits.")
    plus:   int = bits(4,  "Register, or :class:`Source`, added.")
    factor: int = bits(32, "Factor.")
    offset: int = bits(32, "Offset.")


class Token(Insn, op=Op.TOKEN):
    """rd = the host's token of column `source`."""
    rd:     int = bits(3, "Register written.")
    source: int = bits(4, "Register, or :class:`Source`, that holds the column.")


# Between the queues.

class Sync(Insn, op=Op.SYNC):
    """In the queue of `unit`: once all before it are complete, take a token, then give one.

    Token counters start at zero. Taking from a counter at zero waits for another unit's giving, and
    holds up what follows in the queue. Giving alone does not: what follows may begin before.
    """
    unit: Unit = one_of(Unit, "Queue, see :class:`Unit`.", Unit.LOAD)
    take: int = bits(4, "Counter to take a token from; 0 is none.")
    give: int = bits(4, "Counter to give a token to; 0 is none.")


# DRAM addresses and sizes are in units of 64 bytes; vector memory addresses in fp32 words.

class Load(Insn, op=Op.LOAD):
    """Copy fp32 words from DRAM to the vector memory."""
    addr:  int = bits(32, "DRAM address.")
    size:  int = bits(16, "Units of 16 words.")
    dst:   int = bits(18, "Vector memory address: a multiple of 16.")
    addr_reg: int = reg(target="addr")
    dst_reg:  int = reg(target="dst")


class Stream(Insn, op=Op.STREAM):
    """Fetch packed weights for the linear unit, which takes them in order. Runs ahead of it."""
    addr: int = bits(32, "DRAM address.")
    size: int = bits(28, "Units.")
    addr_reg: int = reg(target="addr")


class MatMul(Insn, op=Op.MATMUL):
    """vector[dst + m * stride + n] = sum over k of weight[n, k] * act[m, k], rounded as
    :func:`sw_ref.numerics.linear`, for every row n and the columns m up to `column`; or, with
    `best`, offer the products of that column to the best-logits search, which is cleared first.

    The matrix in the stream begins with its :class:`rtl.spec.descriptor.Descriptor`, which says its
    format and its shift of centres, and repeats `rows` and `groups`."""
    rows:   int = bits(20, "Rows of the matrix. The stream is padded to a multiple of the block.")
    groups: int = bits(10, "Columns of the matrix, in groups of 32.")
    act:    int = bits(10, "First group in the activation buffer.")
    dst:    int = bits(18, "Vector memory address.")
    stride: int = bits(18, "Vector memory words from column to column.")
    best:   int = bits(1,  "Search the best logits.")
    column: int = bits(4,  "Last column; with `best` the only one.")
    dst_reg:    int = reg(target="dst")
    column_reg: int = reg(target="column")


class Embed(Insn, op=Op.EMBED):
    """vector[dst + k] = weight[row, k], from the 16 packed rows of which it is one. They come from
    within a matrix: they have no descriptor."""
    format: WeightFormat = one_of(WeightFormat, "Packed format.", WeightFormat.S8)
    row:    int = bits(20, "Row of the matrix; its place among the 16 is the row modulo 16.")
    groups: int = bits(10, "Columns of the matrix, in groups of 32.")
    centre: int = bits(3,  "Left shift of the group centres, in bits.")
    dst:    int = bits(18, "Vector memory address.")
    row_reg: int = reg(target="row")
    dst_reg: int = reg(target="dst")


class Vector(Insn, op=Op.VECTOR):
    """For o in range(outer), i in range(inner): d = func(a, b, c), where operand x is
    vector[x + o * x_stride + i], or, with x_fill, vector[x + o * x_stride + i mod lanes]: the
    same line over and over. Every address, stride and `inner` is a multiple of the lanes.
    DOT writes one line per o, at d + o * d_stride, filled with the sum."""
    func:  Func = one_of(Func, "Function.", Func.MADD)
    outer: int = bits(8,  "Repetitions.")
    inner: int = bits(15, "Words per repetition.")
    d: int = bits(18, "Result address.")
    a: int = bits(18, "First operand's address.")
    b: int = bits(18, "Second operand's address.")
    c: int = bits(18, "Third operand's address.")
    d_stride: int = bits(11, "Words from repetition to repetition.")
    a_stride: int = bits(11, "Words from repetition to repetition.")
    b_stride: int = bits(11, "Words from repetition to repetition.")
    c_stride: int = bits(11, "Words from repetition to repetition.")
    a_fill: int = bits(1, "Repeat one line of `a`.")
    b_fill: int = bits(1, "Repeat one line of `b`.")
    c_fill: int = bits(1, "Repeat one line of `c`.")
    b_const: int = bits(1, "`b` is the constant `b_value`.")
    c_const: int = bits(1, "`c` is the constant `c_value`.")
    b_value: int = bits(32, "fp32 bits.")
    c_value: int = bits(32, "fp32 bits.")
    d_reg: int = reg(target="d")
    a_reg: int = reg(target="a")
    b_reg: int = reg(target="b")
    c_reg: int = reg(target="c")


class Quant(Insn, op=Op.QUANT):
    """Quantize vector[a + o * stride : + inner] for o in range(outer), group by group, as
    :func:`sw_ref.numerics.quantize`, and send the groups to `dest`."""
    dest:   Dest = one_of(Dest, "Destination.", Dest.ACT)
    outer:  int = bits(8,  "Repetitions.")
    inner:  int = bits(15, "Words per repetition: a multiple of the destination's group.")
    a:      int = bits(18, "Vector memory address: a multiple of the lanes.")
    stride: int = bits(15, "Words from repetition to repetition.")
    act:    int = bits(10, "ACT: first group in the activation buffer.")
    column: int = bits(4,  "ACT: column.")
    a_reg:      int = reg(target="a")
    column_reg: int = reg(target="column")


class Append(Insn, op=Op.APPEND):
    """Take `heads` groups that :class:`Quant` sent to KV, and write them to the KV cache.

    Head h goes to the KV block at addr + h * stride: its elements to line `position` mod 32 of
    the keys or values, its exponent to the block's first unit. Complete when memory says so.
    """
    value:    int = bits(1,  "0: keys, 1: values.")
    heads:    int = bits(8,  "Heads.")
    addr:     int = bits(32, "DRAM address of the first head's block.")
    stride:   int = bits(24, "Units from head to head.")
    position: int = bits(20, "Position; only its place in the block counts.")
    addr_reg:     int = reg(target="addr")
    position_reg: int = reg(target="position")


class Attend(Insn, op=Op.ATTEND):
    """For h in range(heads): take `queries` groups that :class:`Quant` sent to QUERY, and attend
    to the `length` first positions of the KV head at addr + h * stride, as
    :func:`sw_ref.attention.attend`.

    With a `window`, to the last `window` of them, if there are more. A head's cache is a ring
    then: `stride` units of blocks, of which that at newest + h * stride holds position
    `length` - 1, and the one before it in the ring the 32 positions before
    (:func:`rtl.spec.kv.blocks`). Takes eight cycles more.

    With `cap`, scores are capped at the configuration's `score_cap`, as
    :func:`sw_ref.attention.capped`.

    Numerators of query head q = h * queries + g go to vector[dst + q * head_dim :], the
    denominator fills the line vector[sums + q * lanes :].
    """
    heads:   int = bits(8,  "KV heads.")
    queries: int = bits(4,  "Query heads per KV head, at most the configuration's `queries`.")
    addr:    int = bits(32, "DRAM address of the first head's first block.")
    stride:  int = bits(24, "Units from head to head; with a window, of a head's ring.")
    length:  int = bits(20, "Positions, at least one.")
    dst:     int = bits(18, "Vector memory address of the numerators.")
    sums:    int = bits(18, "Vector memory address of the denominators.")
    window:  int = bits(20, "At most so many of the last positions; 0: all.")
    newest:  int = bits(32, "With a window, DRAM address of the first head's newest block.")
    cap:     int = bits(1,  "Cap scores.")
    addr_reg:   int = reg(target="addr")
    length_reg: int = reg(target="length")
    dst_reg:    int = reg(target="dst")
    sums_reg:   int = reg(target="sums")
    newest_reg: int = reg(target="newest")
