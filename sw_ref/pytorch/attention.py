"""Attention in PyTorch, position by position: see :mod:`sw_ref.pytorch.ops`."""

import math

import torch
from torch import float32, float64, int64

from .ops import quantize, shift


__all__ = ["scores", "capped", "weights", "accumulate", "attend", "attend_quantized"]


BLOCK = 32
EMPTY = -(1 << 15)
EXP2 = torch.round(torch.exp2(torch.arange(1024, dtype=float64) / 1024) * 32768).to(int64).tolist()


def scores(q, q_exponent, k, k_exponent):
    """log2 of the weights, times 1024, limited to 24 bits: int64 (queries, positions)."""
    left = q_exponent[:, None] + k_exponent - 264
    product = torch.stack([(k * head).sum(-1) for head in q])
    up, down = product * 2 ** left.clamp(0, 24), 2 ** (-left).clamp(0, 40)
    return torch.div(up, down, rounding_mode="floor").clamp(-(1 << 23), (1 << 23) - 1)


def capped(scores, cap):
    """Scores on 1024 straight pieces of cap * tanh(scores / cap).

    A piece is a power of two long, the least with which they reach where the curve is flat, to half
    a step. Its ends are the curve's, less a 16th of its second derivative, in eighths of a step.
    """
    limit = cap * math.log2(math.e) * 1024
    size = 1
    while 1024 * size < limit * math.log(4 * limit) / 2:
        size *= 2
    at = torch.arange(1025, dtype=float64) * size / limit
    lifted = limit * at.tanh() + size * size / 8 * at.tanh() / at.cosh() ** 2 / limit
    ends = torch.round(lifted * 8).to(int64)
    distance = scores.abs().clamp(max=1024 * size - 1)
    piece, rest = distance // size, distance % size
    value = (ends[piece] + (ends[piece + 1] - ends[piece]) * rest // size + 4) // 8
    return torch.where(scores < 0, -value, value)


def lengths(start, count):
    """How many of `count` positions from `start` on are in each block of 32."""
    return [min(at + BLOCK - at % BLOCK, start + count) - at for at in _starts(start, count)]


def _starts(start, count):
    return [start, *range(start - start % BLOCK + BLOCK, start + count, BLOCK)]


def weights(scores, v_exponent, start=0):
    """Yield what becomes of each block of one query's positions, which are lists. The first is
    position `start`.

    That is: shifts of the numerators' and the denominator's sums; weights of the values and of the
    denominator, lists; how far the maximum with the values' exponents is above the other.
    """
    top = lifted_top = EMPTY
    at = 0
    for count in lengths(start, len(scores)):
        parts = [divmod(score, 1024) for score in scores[at : at + count]]
        lifts = [whole + e for (whole, _), e in zip(parts, v_exponent[at : at + count])]
        at += count
        before, lifted_before = top, lifted_top
        top = max(top, *(whole for whole, _ in parts))
        lifted_top = max(lifted_top, *lifts)
        shifts = min(lifted_top - lifted_before, 48), min(top - before, 48)
        factors = [
            EXP2[part] >> min(lifted_top - lift, 48) for (_, part), lift in zip(parts, lifts)
        ]
        shares = [EXP2[part] >> min(top - whole, 48) for whole, part in parts]
        yield shifts, (factors, shares), lifted_top - top


def accumulate(sums, right, addends):
    """Sums, divided by 2**right with what is left over dropped, and what a block adds."""
    return torch.div(sums, 2**right, rounding_mode="floor") + addends


def attend_quantized(q, q_exponent, k, k_exponent, v, v_exponent, start=0, cap=0.0):
    """Numerators (queries, head_dim) and denominators, float32, of int64 heads and exponents, the
    first of which is of position `start`. Scores are capped, unless `cap` is 0.
    """
    numerators, denominators = [], []
    table = scores(q, q_exponent, k, k_exponent)
    for row in (capped(table, cap) if cap else table).tolist():
        numerator, denominator = torch.zeros_like(v[0]), 0
        blocks = zip(v.split(lengths(start, len(v))), weights(row, v_exponent.tolist(), start))
        for values, ((right, less), (factors, shares), lift) in blocks:
            numerator = accumulate(numerator, right, torch.tensor(factors) @ values)
            denominator = (denominator >> less) + sum(shares)
        numerators.append(shift(numerator.to(float32), lift - 133))
        denominators.append(torch.tensor(denominator).to(float32))
    return torch.stack(numerators), torch.stack(denominators)


def attend(q, k, v, start=0, cap=0.0):
    """Attention of float32 heads (queries, head_dim) to keys and values (positions, head_dim), the
    first of which is of position `start`.

    q is scaled by log2(e) / sqrt(head_dim) already. Scores are capped, unless `cap` is 0. Returns
    numerators and denominators, float32.
    """
    parts = quantize(q, q.shape[-1], 16), quantize(k, k.shape[-1]), quantize(v, v.shape[-1])
    (q, q_exponent), (k, k_exponent), (v, v_exponent) = (
        (values.to(int64), exponent[:, 0].to(int64)) for values, exponent in parts
    )
    return attend_quantized(q, q_exponent, k, k_exponent, v, v_exponent, start, cap)
