"""Attention in PyTorch, position by position: see :mod:`sw_ref.pytorch.ops`."""

import torch
from torch import float32, float64, int64

from .ops import quantize, shift


__all__ = ["scores", "weights", "accumulate", "attend", "attend_quantized"]


BLOCK = 32
EMPTY = -(1 << 15)
EXP2 = torch.round(torch.exp2(torch.arange(1024, dtype=float64) / 1024) * 32768).to(int64).tolist()


def scores(q, q_exponent, k, k_exponent):
    """log2 of the weights, times 1024, limited to 24 bits: int64 (queries, positions)."""
    left = q_exponent[:, None] + k_exponent - 264
    product = torch.stack([(k * head).sum(-1) for head in q])
    up, down = product * 2 ** left.clamp(0, 24), 2 ** (-left).clamp(0, 40)
    return torch.div(up, down, rounding_mode="floor").clamp(-(1 << 23), (1 << 23) - 1)


def weights(scores, v_exponent):
    """Yield what becomes of each block of one query's positions, which are lists.

    That is: shifts of the numerators' and the denominator's sums; weights of the values and of the
    denominator, lists; how far the maximum with the values' exponents is above the other.
    """
    top = lifted_top = EMPTY
    for at in range(0, len(scores), BLOCK):
        parts = [divmod(score, 1024) for score in scores[at : at + BLOCK]]
        lifts = [whole + e for (whole, _), e in zip(parts, v_exponent[at : at + BLOCK])]
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


def attend_quantized(q, q_exponent, k, k_exponent, v, v_exponent):
    """Numerators (queries, head_dim) and denominators, float32, of int64 heads and exponents."""
    numerators, denominators = [], []
    for row in scores(q, q_exponent, k, k_exponent).tolist():
        numerator, denominator = torch.zeros_like(v[0]), 0
        blocks = weights(row, v_exponent.tolist())
        for values, ((right, less), (factors, shares), lift) in zip(v.split(BLOCK), blocks):
            numerator = accumulate(numerator, right, torch.tensor(factors) @ values)
            denominator = (denominator >> less) + sum(shares)
        numerators.append(shift(numerator.to(float32), lift - 133))
        denominators.append(torch.tensor(denominator).to(float32))
    return torch.stack(numerators), torch.stack(denominators)


def attend(q, k, v):
    """Attention of float32 heads (queries, head_dim) to keys and values (positions, head_dim).

    q is scaled by log2(e) / sqrt(head_dim) already. Returns numerators and denominators, float32.
    """
    parts = quantize(q, q.shape[-1], 16), quantize(k, k.shape[-1]), quantize(v, v.shape[-1])
    return attend_quantized(
        *(x.to(int64) for values, exponent in parts for x in (values, exponent[:, 0]))
    )
