"""The fp32 format, and the steps that units computing in it share.

There are no infinities and no NaNs: the exponent 255 of an operand is one more exponent, and no
result has it. See :mod:`sw_ref.numerics`.
"""

from amaranth import *
from amaranth.lib import data


__all__ = [
    "FLOAT32",
    "SIGNIFICAND_BITS",
    "MAX",
    "significand",
    "saturated",
    "normalize",
    "round_even",
    "finish",
]


FLOAT32 = data.StructLayout({"fraction": 23, "exponent": 8, "sign": 1})

SIGNIFICAND_BITS = 24
MAX = 0x7F7FFFFF  # the largest magnitude of a result


def significand(x):
    """Significand of `x`, a :data:`FLOAT32`, with its leading one; 0 of zeros and subnormals."""
    return Mux(x.exponent == 0, 0, Cat(x.fraction, 1))


def saturated(pattern):
    """A `pattern`, but :data:`MAX` with its sign where its exponent is 255."""
    return Mux(pattern[23:31].all(), Cat(C(MAX, 31), pattern[31]), pattern)


def normalize(m, value, shifts, name="normalized"):
    """Shift `value` left by each of `shifts` in turn if as many of its leading bits are zeros.

    With `shifts` the descending powers of two, the leading one comes to the top. Returns the
    shifted value, and for each of `shifts` whether it was taken, the last in the lowest bit.
    """
    # Which runs of bits are zeros is found in a tree, from the value as it came: what a step
    # decides on is picked from it, sooner than the steps before have moved the value.
    finest = shifts[-1]
    width = 2 * shifts[0]
    padded = Cat(C(0, max(0, width - len(value))), value)[-width:]
    runs = [padded[top - finest : top] == 0 for top in range(width, 0, -finest)]
    zeros = {finest: runs}
    for shift in reversed(shifts[:-1]):
        zeros[shift] = runs = [Cat(runs[n : n + 2]).all() for n in range(0, len(runs), 2)]

    taken = []
    for shift in shifts:
        skip = Signal(name=f"{name}_by_{shift}")
        shifted = Signal(len(value), name=f"{name}_{shift}")
        m.d.comb += [
            skip.eq(Array(zeros[shift][::2])[Cat(taken)]),
            shifted.eq(Mux(skip, value << shift, value)),
        ]
        taken.insert(0, skip)
        value = shifted
    return value, Cat(taken)


def round_even(value, exponent):
    """Round a normalized `value`, of more than 25 bits, to nearest even.

    Returns the biased exponent, signed, above the 23 bits of the fraction. The carry of a
    significand that rounds up to 2 has gone into it.
    """
    cut = len(value) - SIGNIFICAND_BITS
    up = value[cut - 1] & (value[: cut - 1].any() | value[cut])
    whole = Cat(value[cut:-1], exponent).as_signed()
    return (whole + up)[: len(whole)].as_signed()


def finish(m, o, sign, rounded, zero):
    """Assign to `o`, in the `sync` domain, what :func:`round_even` returned.

    The result is a zero if `zero` is set, and else :data:`MAX` from the exponent 255 on.
    """
    m.d.sync += o.eq(Cat(rounded[:31], sign))
    with m.If(zero):
        m.d.sync += o.eq(Cat(C(0, 31), sign))
    with m.Elif(rounded[23:].as_signed() >= 255):
        m.d.sync += o.eq(Cat(C(MAX, 31), sign))
