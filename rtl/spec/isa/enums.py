"""Values of instructions' fields that have names: opcodes, units, functions, weight formats."""

from amaranth.lib import enum


__all__ = ["Op", "Unit", "Source", "Func", "Dest", "WeightFormat"]


class Op(enum.Enum, shape=8):
    """Opcodes. The upper four bits of a unit's opcodes name its queue."""

    HALT = 0x01
    LOOP = 0x02
    SCALAR = 0x03
    TOKEN = 0x04
    SYNC = 0x08
    LOAD = 0x10
    STREAM = 0x20
    MATMUL = 0x30
    EMBED = 0x31
    VECTOR = 0x40
    QUANT = 0x41
    APPEND = 0x50
    ATTEND = 0x51


class Unit(enum.Enum, shape=4):
    """Queues. Each executes its instructions in order; different ones run side by side."""

    LOAD = 1
    STREAM = 2
    LINEAR = 3
    VECTOR = 4
    ATTENTION = 5


class Source(enum.Enum, shape=4):
    """Operands of the control instructions beyond the registers 0 to 7: what the host wrote."""

    POSITION = 8  # Position of the first column.
    COLUMNS = 9  # Columns in use.
    HEAD = 10  # 1 when logits are wanted, 0 when not.


class Func(enum.Enum, shape=5):
    """Elementwise functions of the vector unit, see :mod:`sw_ref.numerics`."""

    MADD = 0  # d = a * b + c, rounded after each
    NMADD = 1  # d = c - a * b, rounded after each
    DOT = 2  # d = sum of a * b, over inner elements, filled into one line per outer
    CLAMP = 3  # d = a limited to [-|b|, |b|]
    SCALE = 4  # d = a * 2**n, n the integer that c - MAGIC stands for
    NSCALE = 5  # d = a * 2**-n
    RECIP = 6  # d = first guess at 1 / a
    RSQRT = 7  # d = first guess at 1 / sqrt(a)
    NSCALE1 = 8  # d = 1 + a * 2**-n, rounded after each
    REST = 9  # d = n - a * b, rounded after each


class Dest(enum.Enum, shape=2):
    """Where quantized groups go."""

    ACT = 0  # activation buffer: int8, groups of 32
    QUERY = 1  # attention's query registers: int16, groups of head_dim
    KV = 2  # attention's append: int8, groups of head_dim


class WeightFormat(enum.Enum, shape=5):
    """Packed formats of the weight stream, see :mod:`rtl.spec.formats`.

    Numbers are never used again: images hold them. The register FORMATS has a bit for each.
    """

    U4 = 0
    S8 = 1
    U1 = 2
    U2 = 3
    U3 = 4
    TERNARY = 5
    SPARSE4 = 6
    SPARSE8 = 7
    U5 = 8
    S6 = 9
    FP4 = 10
    FP4_16 = 11
    IQ4 = 12
