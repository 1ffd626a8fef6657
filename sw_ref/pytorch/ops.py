"""The machine's arithmetic in PyTorch, written from the definition and not from the numpy code.

With :mod:`sw_ref.pytorch.linear` and :mod:`sw_ref.pytorch.attention`, an independent second
implementation of :mod:`sw_ref.numerics` and :mod:`sw_ref.attention`: where the two disagree by a
bit, one of them has misread the definition. Needs torch; the run path does not.
"""

import torch
from torch import float32, float64, int32, int64


__all__ = [
    "number",
    "single",
    "load",
    "multiply",
    "add",
    "madd",
    "nmadd",
    "dot",
    "clamp",
    "low_ten",
    "scale",
    "shift",
    "from_int",
    "reciprocal_seed",
    "reciprocal",
    "rsqrt_seed",
    "rsqrt",
    "exp2_negative",
    "sigmoid",
    "silu_gate",
    "centred",
    "rms_reciprocal",
    "rotate",
    "quantize",
]


MIN_NORMAL = 2.0**-126
MAX = 2.0**128 - 2.0**104
MAGIC = 12582912.0
LOG2E = 1.4426950408889634


def number(x):
    """What float32 patterns, or a Python number, stand for: float64, put together of the fields."""
    bits = (x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=float32)).view(int32)
    exponent, fraction = bits >> 23 & 255, bits & 0x7FFFFF
    normal = torch.ldexp((fraction + 0x800000).to(float64), exponent - 150)
    size = torch.where(exponent > 0, normal, 0.0)
    return torch.where(bits < 0, -size, size)


def single(x):
    """Round float64 to float32: never subnormal, never above MAX."""
    size = x.abs()
    size = torch.where(size < MIN_NORMAL, 0.0, size.clamp(max=MAX))
    return size.copysign(x).to(float32)


def load(words):
    """Float32 patterns as they come to lie in the vector memory."""
    bits = words.view(int32)
    return torch.where(bits >> 23 & 255 == 255, bits & ~0x7FFFFFFF | 0x7F7FFFFF, bits).view(float32)


def multiply(a, b):
    """a * b in one rounding."""
    return single(number(a) * number(b))


def add(a, b):
    """a + b in one rounding."""
    return single(number(a) + number(b))


def shift(a, n):
    """a * 2**n."""
    return single(torch.ldexp(number(a), torch.as_tensor(n)))


def from_int(i, exponent):
    """i * 2**exponent of int64 below 2**53 in magnitude, put together of the bits."""
    size = i.abs()
    length = torch.zeros_like(size)
    for n in range(54):
        length += size >> n > 0
    extra = (length - 24).clamp(min=0)
    rest, half = size & (1 << extra) - 1, 1 << extra >> 1
    kept = size >> extra
    kept += (extra > 0) & ((rest > half) | (rest == half) & (kept & 1 > 0))
    carried = kept >> 24  # rounded up to a power of two
    field = torch.where(size > 0, length + carried + exponent + 126, 0)
    fraction = (kept << (24 - length).clamp(min=0)) >> carried & 0x7FFFFF
    bits = field << 23 | fraction
    bits = torch.where(field <= 0, 0, torch.where(field >= 255, 0x7F7FFFFF, bits))
    return torch.where(i < 0, bits - (1 << 31), bits).to(int32).view(float32)


def madd(a, b, c):
    """a * b + c, two roundings."""
    return add(multiply(a, b), c)


def nmadd(a, b, c):
    """c - a * b, two roundings."""
    return single(number(c) - number(multiply(a, b)))


def dot(a, b):
    """Sum of products over the last axis, through 64 interleaved partial sums."""
    terms = multiply(a, b)
    terms = torch.nn.functional.pad(terms, (0, -terms.shape[-1] % 64), value=-0.0).unflatten(
        -1, (-1, 64)
    )
    total = torch.zeros_like(terms[..., 0, :])
    for n in range(terms.shape[-2]):
        total = add(total, terms[..., n, :])
    for half in (32, 16, 8, 4, 2, 1):
        total = add(total[..., :half], total[..., half:])
    return total[..., 0]


def clamp(a, b):
    """a limited to +-abs(b)."""
    a, limit = number(a), number(b).abs()
    return single(a.clamp(-limit, limit).abs().copysign(a))


def low_ten(t):
    """The integer in the low ten bits of t's pattern."""
    return t.view(int32) << 22 >> 22


def scale(a, t, sign=1):
    """a * 2**(sign * n), n in the low ten bits of t's pattern."""
    return shift(a, sign * low_ten(t))


def reciprocal_seed(d):
    """About 1 / d."""
    bits = d.view(int32)
    size = 0x7EF311C7 - (bits & 0x7FFFFFFF)
    return torch.where(size < 1 << 23, 0, size).view(float32).copysign(d)


def reciprocal(d):
    """1 / d."""
    r = reciprocal_seed(d)
    for _ in range(3):
        r = madd(nmadd(d, r, 1.0), r, r)
    return r


def rsqrt_seed(v):
    """About 1 / sqrt(abs(v))."""
    return (0x5F3759DF - ((v.view(int32) & 0x7FFFFFFF) >> 1)).view(float32)


def rsqrt(v):
    """1 / sqrt(v) for positive v."""
    half = madd(v, 0.5, 0.0)
    r = rsqrt_seed(v)
    for _ in range(3):
        r = madd(r, nmadd(half, madd(r, r, 0.0), 1.5), 0.0)
    return r


def exp2_negative(x, factor):
    """2**-(x * factor)."""
    t = madd(x, factor, MAGIC)
    f = nmadd(x, factor, madd(t, 1.0, -MAGIC))
    p = madd(f, 1.33979e-3, 9.67069e-3)
    for c in (5.550336e-2, 2.402226e-1, 6.931472e-1, 1.0):
        p = madd(p, f, c)
    return scale(p, t, -1)


def sigmoid(x):
    """1 / (1 + exp(-x))."""
    return reciprocal(madd(exp2_negative(clamp(x, 80.0), LOG2E), 1.0, 1.0))


def silu_gate(gate, up):
    """gate * sigmoid(gate) * up."""
    return madd(madd(sigmoid(gate), gate, 0.0), up, 0.0)


def centred(x):
    """x without its mean, over the last axis."""
    return nmadd(dot(x, torch.ones_like(x))[..., None], 1.0 / x.shape[-1], x)


def rms_reciprocal(x, eps):
    """1 / rms(x), over the last axis."""
    return rsqrt(madd(dot(x, x), 1.0 / x.shape[-1], eps))


def rotate(low, high, cos, sin):
    """Halves of heads, turned by the angles of which the cosines and sines are given."""
    return (madd(low, cos, nmadd(high, sin, 0.0)), madd(high, cos, madd(low, sin, 0.0)))


def quantize(x, group=32, bits=8):
    """Groups of integers with a shared power of two: (int64 like x, exponent fields)."""
    groups = x.unflatten(-1, (-1, group))
    exponent = (groups.view(int32) >> 23 & 255).amax(-1)
    scaled = number(groups).abs() * torch.exp2((125 + bits - exponent).to(float64))[..., None]
    magnitude = (scaled + 0.5).floor().clamp(max=2 ** (bits - 1) - 1).to(int64)
    return torch.where(groups.signbit(), -magnitude, magnitude).flatten(-2), exponent
