"""Matrices and the best of their products, in PyTorch: see :mod:`sw_ref.pytorch.ops`."""

import torch
from torch import float32, int64

from rtl.spec.isa import WeightFormat

from .ops import MAX, multiply, quantize, shift


__all__ = [
    "weights",
    "products",
    "alignment",
    "group_sums",
    "exact_sums",
    "scaled",
    "linear",
    "best",
]


ODD_GRIDS = {
    WeightFormat.U1: 1,
    WeightFormat.U2: 3,
    WeightFormat.U3: 7,
    WeightFormat.U4: 15,
    WeightFormat.U5: 31,
}
# Twice the floats of E2M1: sign, two bits of exponent, one of mantissa. llama.cpp's book of IQ4_NL.
FLOATS = [0, 1, 2, 3, 4, 6, 8, 12]
BOOKS = {
    WeightFormat.FP4: FLOATS + [-x for x in FLOATS],
    WeightFormat.FP4_16: FLOATS + [-x for x in FLOATS],
    WeightFormat.IQ4: [-127, -104, -83, -65, -49, -35, -22, -10] + [1, 13, 25, 38, 53, 69, 89, 113],
}


def weights(fmt, codes, scale, centre, centre_shift):
    """Integer weights (rows, K) of codes (rows, K), with scales (rows, K / 32 or 16) and centres
    (rows, K / 32).
    """

    def spread(x):
        return x.repeat_interleave(codes.shape[1] // x.shape[1], 1)

    if fmt in ODD_GRIDS:
        grid = codes + codes - ODD_GRIDS[fmt]
        return grid * spread(scale) + spread(centre) * 2**centre_shift
    if fmt in BOOKS:
        return torch.tensor(BOOKS[fmt])[codes.long()] * spread(scale)
    return codes * spread(scale) if fmt in (WeightFormat.S8, WeightFormat.S6) else codes


def products(weight, acts):
    """Products of integer activations (M, K) with integer weights (rows, K): (M, rows)."""
    return acts @ weight.T


def alignment(exponent):
    """Left shifts of the groups of vectors, -1 for what is dropped, and the largest exponents."""
    top = exponent.amax(-1, keepdim=True)
    distance = top - exponent
    return torch.where(distance > 15, -1, 15 - distance), top[..., 0]


def group_sums(sums, totals, scale, centre, left):
    """What a group's sums of products with codes (M, rows) come to: scaled, centred, aligned."""
    factor = torch.where(left < 0, 0, 2 ** left.clamp(min=0))
    return (sums * scale + torch.outer(totals, centre)) * factor[:, None]


def exact_sums(weight, q, exponent):
    """Integers (M, rows) of quantized activations (M, K), exponents (M, K / 32).

    Groups are summed in int64 one by one, unlike the numpy version's float64 product.
    """
    left, _ = alignment(exponent)
    total = torch.zeros(len(q), len(weight), dtype=int64)
    for n, (acts, part) in enumerate(zip(q.split(32, -1), weight.split(32, -1))):
        factor = torch.where(left[:, n] < 0, 0, 2 ** left[:, n].clamp(min=0))
        total += (acts @ part.T) * factor[:, None]
    return total


def scaled(total, row_scale, top):
    """float32 of integers: times the row's scale, times 2**(top - 148)."""
    return shift(multiply(total.to(float32), row_scale), top - 148)


def linear(weight, row_scale, x):
    """Product of float32 activations, quantized here, with integer weights (rows, K)."""
    q, exponent = quantize(x)
    return scaled(
        exact_sums(weight.to(int64), q, exponent),
        row_scale,
        exponent.amax(-1, keepdim=True).to(int64),
    )


def best(logits, count=64):
    """Ids and values of the `count` largest, the first of equal ones first, then (0, -MAX)."""
    values, ids = logits.sort(descending=True, stable=True)
    padding = 0, max(0, count - len(ids))
    pad = torch.nn.functional.pad
    return pad(ids[:count], padding), pad(values[:count], padding, value=-MAX)
