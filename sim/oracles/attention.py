"""Oracles of the attention unit."""

import numpy as np
import torch
from torch.nn import functional as F

from sw_ref import attention
from sw_ref.pytorch import attention as torch_attention

from .oracle import FLUSH, ROUNDING, Oracle, Within, limited


__all__ = ["SCORES", "CAPPED", "WEIGHTS", "ACCUMULATE", "ATTEND"]


LN2 = float(np.log(2))
ONE = 1 << 15  # what the weight 1 is as an integer
STEP = 2.0**-10  # of a score
# A weight's relative error: the score is rounded down to 2^-10, the table to half of 2^-15.
OF_SCORE = STEP * LN2
OF_TABLE = 2.0**-16
OF_CAP = 1.35 * STEP


def real(values, exponent, bits):
    """Numbers that quantized heads (heads, head_dim) stand for."""
    return values.double() * torch.exp2(exponent.double() - (127 + bits - 2))[:, None]


def clipped(scores):
    """Scores as 24 bits with ten of fraction hold them."""
    return scores.clamp(-8192, 8192 - STEP)


def scores(q, q_exponent, k, k_exponent):
    """`q @ k.T` of the dequantized heads, within +-2^13

    The last of ten bits of fraction, rounded down: 2^-10.
    """
    value = clipped(real(q, q_exponent, 16) @ real(k, k_exponent, 8).T)
    return Within(value, torch.full_like(value, STEP))


def score_values(outputs, *inputs):
    """Scores as numbers."""
    return tuple(x.double() * STEP for x in outputs)


def cap(score, limit):
    """`limit * tanh(score / limit)` of scores with ten bits of fraction

    Half a step for the result; up to 0.6 for a straight piece, or for the end of the last; an
    eighth for the ends of pieces, and one for what is rounded down within: 1.35 * 2^-10.
    """
    value = capped_to(score.double() * STEP, limit)
    return Within(value, torch.full_like(value, OF_CAP))


def capped_to(score, limit):
    """log2 of weights, capped; the limit is that of natural logarithms."""
    return limit / LN2 * torch.tanh(score * LN2 / limit)


def weights_reference(score, v_exponent):
    """`attention.weights`"""
    shifts, weights, lifts = zip(*attention.weights(score, v_exponent))
    (numerators, denominators), (factors, shares) = zip(*shifts), zip(*weights)
    return (
        np.stack(numerators, 1),
        np.stack(denominators, 1),
        np.concatenate(factors, 1),
        np.concatenate(shares, 1),
        np.stack(lifts, 1),
    )


def weights_exact(score, v_exponent):
    """`torch_attention.weights`"""

    def joined(blocks):
        return torch.tensor([x for block in blocks for x in block])

    rows = []
    for row in score.tolist():
        shifts, weights, lifts = zip(*torch_attention.weights(row, v_exponent.tolist()))
        rows.append([*torch.tensor(shifts).T, *map(joined, zip(*weights)), torch.tensor(lifts)])
    return tuple(torch.stack(column) for column in zip(*rows))


def softmax_values(outputs, score, v_exponent):
    """Weights of all positions as shares of their sum, on the last block's scale."""
    _, shifts, _, shares, _ = outputs
    blocks = torch.arange(score.shape[1]) // attention.BLOCK
    later = shifts.flip(1).cumsum(1).flip(1) - shifts  # by which blocks after it shift a block's
    shares = shares.double() * torch.exp2(-later[:, blocks].double())
    return None, None, None, shares / shares.sum(-1, keepdim=True), None


def softmax(score, v_exponent):
    """`softmax(score * log(2))`

    A weight is an integer, of which the largest is at least 2^15: half of one is lost by rounding
    the table, and less than one by the shift. n of them make up the sum.
    """
    value = torch.softmax(score.double() / (1 << attention.FRACTION) * LN2, -1)
    lost = OF_TABLE * value + 1 / ONE
    return (
        None,
        None,
        None,
        Within(
            value,
            (lost + value * lost.sum(-1, keepdim=True))
            / (1 - lost.sum(-1, keepdim=True)).clamp(min=0),
        ),
        None,
    )


def accumulate_reference(shifts, products):
    """`attention.accumulate`"""
    sums = np.zeros(products.shape[1:], np.int64)
    for shift, addend in zip(shifts, products):
        sums = attention.accumulate(sums, shift, addend)
    return sums


def accumulate_exact(shifts, products):
    """`torch_attention.accumulate`"""
    sums = torch.zeros_like(products[0])
    for shift, addend in zip(shifts, products):
        sums = torch_attention.accumulate(sums, shift, addend)
    return sums


def accumulate(shifts, products):
    """`(sums * 2**-shifts).sum()`, over the blocks

    Each block but the first rounds the sum down: one for each.
    """
    later = shifts.flip(0).cumsum(0).flip(0) - shifts
    value = (products.double() * torch.exp2(-later.double())).sum(0)
    return Within(value, torch.full_like(value, len(products) - 1))


def attend(q, q_exponent, k, k_exponent, v, v_exponent, start=0, limit=0.0):
    """`scaled_dot_product_attention(q, k, v)` of the dequantized heads, times the denominator; and
    `exp2(scores).sum()`

    Weights are off by 2^-10 ln 2 for the score, and 2^-16 for the table. They are integers, of
    which 2^15 stands for the largest score's power of two: each loses less than one by its shift,
    and the sums one more in each block. In the numerators, one is 2^-15 of the largest weight times
    the scale of a value, and each position's counts as often as its value says. Then both sums are
    rounded to fp32: 2^-24. A cap puts scores off by 1.35 * 2^-10 more.
    """
    query, key, value = real(q, q_exponent, 16), real(k, k_exponent, 8), real(v, v_exponent, 8)
    score = clipped(query @ key.T)
    # Of queries with scores that are limited or capped, which attention in PyTorch is not, they are
    # the mask.
    score = capped_to(score, limit) if limit else score
    beyond = (score != query @ key.T).any(-1, keepdim=True)
    attended = F.scaled_dot_product_attention(
        torch.where(beyond, 0.0, query),
        key,
        value,
        scale=LN2,
        attn_mask=torch.where(beyond, score * LN2, 0.0),
    )
    whole = score.floor()
    top = whole.amax(-1, keepdim=True)
    weight = torch.exp2(score - top) * ONE
    denominator = weight.sum(-1, keepdim=True)
    count, blocks = len(value), len(attention.blocks(start, len(value)))
    relative = OF_SCORE + OF_TABLE + (OF_CAP * LN2 if limit else 0)

    lost = (relative * denominator + count + blocks) * (1 + ROUNDING) + ROUNDING * denominator
    # One of the numerators' sums, in a number's terms; the maximum is of score and exponent.
    one = torch.exp2((whole + v_exponent.double()).amax(-1, keepdim=True) - top - 133)
    product = attended * denominator
    missing = relative * weight @ value.abs() + one * (v.abs().double().sum(0) + blocks)
    bound = missing * (1 + ROUNDING) + ROUNDING * product.abs() + FLUSH
    return Within(limited(product), bound), Within(denominator[:, 0], lost[:, 0])


SCORES = Oracle("attention.SCORES", attention.scores, torch_attention.scores, scores, score_values)
CAPPED = Oracle("attention.CAPPED", attention.capped, torch_attention.capped, cap, score_values)
WEIGHTS = Oracle("attention.WEIGHTS", weights_reference, weights_exact, softmax, softmax_values)
ACCUMULATE = Oracle("attention.ACCUMULATE", accumulate_reference, accumulate_exact, accumulate)
ATTEND = Oracle("attention.ATTEND", attention.attend, torch_attention.attend_quantized, attend)
