"""The machine's arithmetic in PyTorch, written from the definition and not from the numpy code.

An independent second implementation of :mod:`sw_ref.numerics` and :mod:`sw_ref.attention`: where the
two disagree by a bit, one of them has misread the definition. Needs torch; the run path does not.
"""

import torch
from torch import float32, float64, int32, int64


__all__ = ["number", "single", "load", "multiply", "add", "madd", "nmadd", "dot", "clamp", "scale",
           "reciprocal_seed", "reciprocal", "rsqrt_seed", "rsqrt", "silu_gate", "rms_reciprocal",
           "quantize", "linear", "attend", "best"]


MIN_NORMAL = 2.0 ** -126
MAX = 2.0 ** 128 - 2.0 ** 104
MAGIC = 12582912.0
LOG2E = 1.4426950408889634
EXP2 = torch.round(torch.exp2(torch.arange(1024, dtype=float64) / 1024) * 32768).to(int64)


def number(x):
    """What float32 patterns, or a Python number, stand for: float64, put together of the fields."""
    bits = (x if isinstance(x, torch.Tensor) else torch.tensor(x, dtype=float32)).view(int32)
    exponent, fraction = bits >> 23 & 255, bits & 0x7fffff
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
    return torch.where(bits >> 23 & 255 == 255, bits & ~0x7fffffff | 0x7f7fffff, bits).view(float32)


def multiply(a, b):
    """a * b in one rounding."""
    return single(number(a) * number(b))


def add(a, b):
    """a + b in one rounding."""
    return single(number(a) + number(b))


def shift(a, n):
    """a * 2**n."""
    return single(torch.ldexp(number(a), torch.as_tensor(n)))


def madd(a, b, c):
    """a * b + c, two roundings."""
    return add(multiply(a, b), c)


def nmadd(a, b, c):
    """c - a * b, two roundings."""
    return single(number(c) - number(multiply(a, b)))


def dot(a, b):
    """Sum of products over the last axis, through 64 interleaved partial sums."""
    terms = multiply(a, b)
    terms = torch.nn.functional.pad(terms, (0, -terms.shape[-1] % 64), value=-0.0).unflatten(-1, (-1, 64))
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


def scale(a, t, sign=1):
    """a * 2**(sign * n), n in the low ten bits of t's pattern."""
    return shift(a, sign * (t.view(int32) << 22 >> 22))


def reciprocal_seed(d):
    """About 1 / d."""
    bits = d.view(int32)
    size = 0x7EF311C7 - (bits & 0x7fffffff)
    return torch.where(size < 1 << 23, 0, size).view(float32).copysign(d)


def reciprocal(d):
    """1 / d."""
    r = reciprocal_seed(d)
    for _ in range(3):
        r = madd(nmadd(d, r, 1.0), r, r)
    return r


def rsqrt_seed(v):
    """About 1 / sqrt(abs(v))."""
    return (0x5F3759DF - ((v.view(int32) & 0x7fffffff) >> 1)).view(float32)


def rsqrt(v):
    """1 / sqrt(v) for positive v."""
    half = madd(v, 0.5, 0.0)
    r = rsqrt_seed(v)
    for _ in range(3):
        r = madd(r, nmadd(half, madd(r, r, 0.0), 1.5), 0.0)
    return r


def silu_gate(gate, up):
    """gate * sigmoid(gate) * up."""
    limited = clamp(gate, 80.0)
    t = madd(limited, LOG2E, MAGIC)
    f = nmadd(limited, LOG2E, madd(t, 1.0, -MAGIC))
    p = madd(f, 1.33979e-3, 9.67069e-3)
    for c in (5.550336e-2, 2.402226e-1, 6.931472e-1, 1.0):
        p = madd(p, f, c)
    sigmoid = reciprocal(madd(scale(p, t, -1), 1.0, 1.0))
    return madd(madd(sigmoid, gate, 0.0), up, 0.0)


def rms_reciprocal(x, eps):
    """1 / rms(x), over the last axis."""
    return rsqrt(madd(dot(x, x), 1.0 / x.shape[-1], eps))


def quantize(x, group=32, bits=8):
    """Groups of integers with a shared power of two: (int64 like x, exponent fields)."""
    groups = x.unflatten(-1, (-1, group))
    exponent = (groups.view(int32) >> 23 & 255).amax(-1)
    scaled = number(groups).abs() * torch.exp2((125 + bits - exponent).to(float64))[..., None]
    magnitude = (scaled + 0.5).floor().clamp(max=2 ** (bits - 1) - 1).to(int64)
    return torch.where(groups.signbit(), -magnitude, magnitude).flatten(-2), exponent


def linear(weight, row_scale, x):
    """Product of float32 activations, quantized here, with integer weights (rows, K).

    Groups are summed in int64 one by one, unlike the numpy version's float64 product.
    """
    q, exponent = quantize(x)
    align = 15 - (exponent.amax(-1, keepdim=True) - exponent)
    q = q.unflatten(-1, (-1, 32)) * torch.where(align < 0, 0, 1 << align.clamp(min=0).to(int64))[..., None]
    total = (q.flatten(-2).to(float64) @ weight.to(float64).T).to(int64)
    scaled = multiply(total.to(float32), row_scale)
    power = exponent.amax(-1, keepdim=True) - 148
    return shift(scaled, power)


def attend(q, k, v):
    """Attention of float32 heads (queries, head_dim) to keys and values (positions, head_dim).

    Position by position, with the maxima of each block of 32 known before it: q is scaled by
    log2(e) / sqrt(head_dim) already. Returns numerators and denominators, float32.
    """
    q, q_exponent = quantize(q, q.shape[-1], 16)
    k, k_exponent = quantize(k, k.shape[-1])
    v, v_exponent = quantize(v, v.shape[-1])
    numerators, denominators = [], []
    for head, exponent in zip(q, q_exponent[:, 0].tolist()):
        top = lifted_top = -(1 << 15)
        numerator, denominator = torch.zeros_like(head), 0
        for start in range(0, len(k), 32):
            rows = range(start, min(start + 32, len(k)))
            scores = []
            for t in rows:
                left = exponent + int(k_exponent[t, 0]) - 264
                product = int((head * k[t]).sum())
                product = product << min(left, 24) if left >= 0 else product >> min(-left, 40)
                scores.append(max(-(1 << 23), min(product, (1 << 23) - 1)))
            lifts = [(s >> 10) + int(v_exponent[t, 0]) for s, t in zip(scores, rows)]
            new, new_lifted = max([top] + [s >> 10 for s in scores]), max([lifted_top] + lifts)
            denominator >>= min(new - top, 48)
            numerator >>= min(new_lifted - lifted_top, 48)
            top, lifted_top = new, new_lifted
            for score, lift, t in zip(scores, lifts, rows):
                weight = int(EXP2[score & 1023])
                denominator += weight >> min(top - (score >> 10), 48)
                numerator += (weight >> min(lifted_top - lift, 48)) * v[t]
        numerators.append(shift(numerator.to(float32), lifted_top - top - 133))
        denominators.append(torch.tensor(denominator).to(float32))
    return torch.stack(numerators), torch.stack(denominators)


def best(logits, count=64):
    """Ids and values of the `count` largest, the first of equal ones first, then (0, -MAX)."""
    values, ids = logits.sort(descending=True, stable=True)
    padding = 0, max(0, count - len(ids))
    pad = torch.nn.functional.pad
    return pad(ids[:count], padding), pad(values[:count], padding, value=-MAX)
