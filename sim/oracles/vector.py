"""Oracles of the vector unit: its functions, the quantizer, and what models make of them."""

import numpy as np
import torch
from torch.nn import functional as F

from rtl.spec.isa import Func
from sw_ref import numerics
from sw_ref.pytorch import machine as torch_machine, ops as torch_ops
from sw_ref.pytorch.ops import MAX, MIN_NORMAL, number
from sw_ref.sequences import FUNCTIONS, RECIPROCAL, SILU_GATE, evaluate, norm_scale

from .oracle import FLUSH, ROUNDING, Oracle, Within, limited, near


__all__ = ["ELEMENTWISE", "DOT", "QUANTIZE", "RECIPROCALS", "RMS_NORM", "SILU", "ROTARY"]


def low_ten(t):
    """The integer in the low ten bits of a pattern."""
    return ((t.view(torch.int32) + 512) % 1024 - 512).double()


def elementwise_reference(func, a, b, c):
    """`sequences.FUNCTIONS`"""
    return FUNCTIONS[func](a, b, c)


def elementwise_exact(func, a, b, c):
    """`torch_machine.FUNCTIONS`"""
    return torch_machine.FUNCTIONS[func](a, b, c)


def multiply_add(a, b, c):
    product = near(a * b, 1)
    total = near(product.value + c, 1)
    return Within(total.value, total.bound + (1 + ROUNDING) * product.bound)


def seed(value, share, smallest, largest, x):
    """A first guess, off by a share of it for x from `smallest` to `largest`; else any number."""
    inside = (x.abs() >= smallest) & (x.abs() <= largest)
    value = torch.where(inside, value, 0.0)
    return Within(value, torch.where(inside, share * value.abs(), 2 * MAX))


def elementwise(func, a, b, c):
    """`a * b + c`, `c - a * b`, `n - a * b`, `clamp(a, -|b|, |b|)`, `a * 2**n`, `1 + a * 2**-n`,
    `1 / a`, `rsqrt(|a|)`

    2^-24 of the product and of the sum; none of CLAMP; 2^-24 of SCALE where it leaves the normal
    range; 5.1 % and 3.5 % of the first guesses RECIP and RSQRT, the most for any fraction, for a
    whose reciprocal is normal.
    """
    a, b, pattern, c = number(a), number(b), c, number(c)
    match func:
        case Func.MADD:
            return multiply_add(a, b, c)
        case Func.NMADD:
            return multiply_add(-a, b, c)
        case Func.CLAMP:
            value = limited(torch.minimum(a.abs(), b.abs()).copysign(a))
            return Within(value, torch.zeros_like(value))
        case Func.SCALE | Func.NSCALE:
            return near(a * torch.exp2(low_ten(pattern) * (1 if func == Func.SCALE else -1)), 1)
        case Func.NSCALE1:
            scaled = near(a * torch.exp2(-low_ten(pattern)), 1)
            total = near(scaled.value + 1, 1)
            return Within(total.value, total.bound + (1 + ROUNDING) * scaled.bound)
        case Func.REST:
            return multiply_add(-a, b, low_ten(pattern))
        case Func.RECIP:
            return seed(1 / a, 0.051, MIN_NORMAL, 2.0**125, a)
        case Func.RSQRT:
            return seed(torch.rsqrt(a.abs()), 0.035, MIN_NORMAL, 2.0**129, a)


def dot(a, b):
    """`(a * b).sum()`

    A rounding of each product, and of each addition on its way to the sum, which are n / 64 + 6:
    2^-24 of the magnitudes' sum; and a flush of each. None is claimed where the magnitudes' sum
    comes to MAX: partial sums are limited then.
    """
    terms = number(a) * number(b)
    count, total = terms.shape[-1], terms.abs().sum(-1)
    depth = 1 + -(-count // 64) + 6
    bound = depth * ROUNDING * (1 + depth * ROUNDING) * total + (2 * count + 64) * FLUSH
    return Within(limited(terms.sum(-1)), torch.where(total < MAX / 2, bound, 2 * MAX))


def quantize(x, group, bits):
    """`x`

    Half a step of the group, which is the power of two of its largest magnitude, times 2^-6 of 8
    bits and 2^-14 of 16; one step where x is limited to 127 steps, or 32767.
    """
    step = steps(x, group, bits)
    value = number(x).unflatten(-1, (-1, group))
    bound = torch.where(value.abs() > (2 ** (bits - 1) - 1) * step, step, step / 2)
    return Within(value, bound), None


def steps(x, group, bits):
    """Steps of the groups of x, with an axis for their elements."""
    exponent = (x.view(torch.int32) >> 23 & 255).unflatten(-1, (-1, group)).amax(-1, keepdim=True)
    return torch.exp2((exponent - 127 - (bits - 2)).double())


def dequantized(outputs, x, group, bits):
    """Integers times their group's step, as the exponents tell it."""
    q, exponent = outputs
    step = torch.exp2((exponent - 127 - (bits - 2)).double())[..., None]
    return q.double().unflatten(-1, (-1, group)) * step, None


def reciprocal_reference(d):
    """`sequences.RECIPROCAL`"""
    return evaluate(RECIPROCAL, d=d)["r"]


def reciprocal(d):
    """`reciprocal(d)`

    The guess' 5.1 % are squared three times, which leaves 2^-34. The last step rounds d * r, about
    1, and its difference from 1; and the sum of r and its product with that: 3 * 2^-24, and a
    quarter for what is left and for products of errors. A product below 2^-126 is flushed, and the
    error stays: 1.06 * 2^-126, since r is off by 5.1 % at most. For d from 2^-126 to 2^125.
    """
    return near(torch.reciprocal(number(d)), 3.25, flush=1.06 * FLUSH)


def rms_norm_reference(x, gain, eps):
    """`sequences.norm_scale` of `numerics.dot`, times x * gain"""
    zero = np.float32(0)
    r = evaluate(norm_scale(x.shape[-1], eps), s=numerics.dot(x, x))["r"]
    return numerics.madd(numerics.madd(x, gain, zero), r[..., None], zero)


def rms_norm_exact(x, gain, eps):
    """`torch_ops.rms_reciprocal`, times x * gain"""
    r = torch_ops.rms_reciprocal(x, eps)
    return torch_ops.madd(torch_ops.madd(x, gain, 0.0), r[..., None], 0.0)


def rms_norm(x, gain, eps):
    """`rms_norm(x, gain, eps)`

    The mean of squares has a rounding for each of n / 64 + 7 steps of DOT, and five for 1 / n, eps
    and their operations; its root halves them. Newton's last step has three, and what is left of
    the guess' error is below one. Two are of the products with x and gain. Together (n / 64 + 24) /
    2, times 2^-24, for magnitudes whose squares neither overflow nor are flushed.
    """
    count = x.shape[-1]
    value = F.rms_norm(number(x), (count,), number(gain), eps)
    return near(value, (-(-count // 64) + 24) / 2)


def silu_reference(gate, up, s):
    """`sequences.SILU_GATE`"""
    return evaluate(SILU_GATE, g=gate, up=up, s=s)["g"]


def silu_exact(gate, up, s):
    """`torch_ops.silu_gate` of gate * s and up * s"""
    return torch_ops.silu_gate(torch_ops.madd(gate, s, 0.0), torch_ops.madd(up, s, 0.0))


def silu(gate, up, s):
    """`silu(gate * s) * (up * s)`

    With g = gate * s: 2^f is off by as much as f: g, its product with log2(e), and that constant
    round, 3 |g| roundings; the polynomial, 1.5e-7, and its last steps come to six. Of 1 + exp(-g)
    that is the share sigmoid(-g). The products with s, adding 1, the reciprocal (3.25) and the last
    two products: nine. Beyond +-80 the sigmoid stays as it is there, which is off by e^-80. What is
    flushed in the reciprocal and behind it comes to 2^-125, times g and up.
    """
    gate, up = limited(number(gate) * number(s)), limited(number(up) * number(s))
    roundings = (3 * gate.abs() + 6) * torch.sigmoid(-gate) + 9
    value, bound = near(F.silu(gate) * up, roundings)
    tail = torch.where(gate.abs() > 80, (gate * up).abs() * 2 * np.exp(-80), 0.0)
    return Within(value, bound + tail + 2 * FLUSH * (1 + up.abs()) * (1 + gate.abs()))


def rotary_reference(low, high, cos, sin):
    """`numerics.madd` and `numerics.nmadd`"""
    zero = np.float32(0)
    return (
        numerics.madd(low, cos, numerics.nmadd(high, sin, zero)),
        numerics.madd(high, cos, numerics.madd(low, sin, zero)),
    )


def rotary(low, high, cos, sin):
    """`complex(low, high) * complex(cos, sin)`

    Two products and a sum: 2^-23 of the magnitudes' sum.
    """
    low, high, cos, sin = (number(x) for x in (low, high, cos, sin))
    turned = torch.complex(low, high) * torch.complex(cos, sin)

    def within(value, *products):
        return Within(value, 2 * ROUNDING * sum(p.abs() for p in products) + 3 * FLUSH)

    return within(turned.real, low * cos, high * sin), within(turned.imag, high * cos, low * sin)


ELEMENTWISE = Oracle("vector.ELEMENTWISE", elementwise_reference, elementwise_exact, elementwise)
DOT = Oracle("vector.DOT", numerics.dot, torch_ops.dot, dot)
QUANTIZE = Oracle("vector.QUANTIZE", numerics.quantize, torch_ops.quantize, quantize, dequantized)
RECIPROCALS = Oracle("vector.RECIPROCALS", reciprocal_reference, torch_ops.reciprocal, reciprocal)
RMS_NORM = Oracle("vector.RMS_NORM", rms_norm_reference, rms_norm_exact, rms_norm)
SILU = Oracle("vector.SILU", silu_reference, silu_exact, silu)
ROTARY = Oracle("vector.ROTARY", rotary_reference, torch_ops.rotate, rotary)
