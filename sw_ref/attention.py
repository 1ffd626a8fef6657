"""Attention of one position over an int8 KV cache: one pass, online softmax, exact integers.

The one-pass cascade of FuseMax (running maximum, denominator, numerator) with integer maxima in
the log2 domain, so that rescaling is a shift. The factor log2(e) / sqrt(head_dim) is part of the
query. Two maxima run: of the scores (denominator) and of the scores plus the value's exponent
(numerators), so that each keeps 16 significant bits whatever the values' scales are.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rtl.spec import score_cap
from rtl.spec.numbers import FRACTION, KV_BLOCK as BLOCK, SCORE_BITS

from .numerics import f32, shifted


__all__ = ["FRACTION", "BLOCK", "EXP2", "scores", "capped", "weights", "accumulate", "attend"]


EMPTY = -(1 << 15)
SHIFT_LIMIT = 48

# 2**(i / 1024) as a 16-bit integer with 15 fraction bits.
EXP2 = np.round(np.exp2(np.arange(1 << FRACTION) / (1 << FRACTION)) * (1 << 15)).astype(np.int64)


def scores(q, q_exponent, k, k_exponent):
    """Scores in the log2 domain: (queries, positions), SCORE_BITS bits with FRACTION of fraction.

    The exact dot product shifted left by q_exponent + k_exponent - 264, or right, rounding down,
    where that is negative; then limited. 264 = 2 * 127 + 14 + 6 - FRACTION.
    """
    dots = q.astype(np.int64) @ k.astype(np.int64).T
    shift = q_exponent.astype(np.int64)[:, None] + k_exponent.astype(np.int64)[None, :] - 264
    shifted = (dots << np.clip(shift, 0, 24)) >> np.clip(-shift, 0, 40)
    limit = 1 << SCORE_BITS - 1
    return np.clip(shifted, -limit, limit - 1)


def capped(score, cap):
    """Scores capped at `cap`, in natural units: the integer closest to cap * tanh(score / cap) on
    the curve's straight pieces (:mod:`rtl.spec.score_cap`). Within 0.73 steps of 2**-FRACTION of
    the hyperbolic tangent for a cap of 50, and 1.15 for any.
    """
    curve = score_cap.curve(cap)
    nodes = np.array(curve.nodes)
    magnitude = np.minimum(np.abs(score), (score_cap.PIECES << curve.shift) - 1)
    piece, place = magnitude >> curve.shift, magnitude & (1 << curve.shift) - 1
    exact = nodes[piece] + ((nodes[piece + 1] - nodes[piece]) * place >> curve.shift)
    return np.sign(score) * (exact + (1 << score_cap.EXTRA - 1) >> score_cap.EXTRA)


def weights(score, v_exponent, start=0) -> Iterator[tuple[Any, Any, Any]]:
    """Online softmax of scores (queries, positions), with the values' exponents (positions,).

    Blocks end at multiples of `BLOCK` positions, of which the first score's is `start`: so the
    result does not depend on where a window's blocks lie. Yields, per block and as pairs of what is
    for the numerators and what is for the denominators: right shifts of the sums so far (queries,),
    and weights (queries, positions); then how far the numerators' running maximum is above the
    denominators' (queries,).
    """
    whole, table = score >> FRACTION, EXP2[score & (1 << FRACTION) - 1]
    lifted = whole + v_exponent.astype(np.int64)[None, :]
    top = np.full(len(score), EMPTY, np.int64)  # running maximum of `whole`
    lifted_top = np.full(len(score), EMPTY, np.int64)  # running maximum of `lifted`
    for block in blocks(start, score.shape[1]):
        new_top = np.maximum(top, whole[:, block].max(1))
        new_lifted = np.maximum(lifted_top, lifted[:, block].max(1))
        shifts = (
            np.minimum(new_lifted - lifted_top, SHIFT_LIMIT),
            np.minimum(new_top - top, SHIFT_LIMIT),
        )
        top, lifted_top = new_top, new_lifted
        yield (
            shifts,
            (
                table[:, block] >> np.minimum(lifted_top[:, None] - lifted[:, block], SHIFT_LIMIT),
                table[:, block] >> np.minimum(top[:, None] - whole[:, block], SHIFT_LIMIT),
            ),
            lifted_top - top,
        )


def blocks(start, count):
    """Slices of `count` positions from `start` on, one for each block of `BLOCK`."""
    ends = range(BLOCK - start % BLOCK, count + BLOCK, BLOCK)
    return [slice(max(0, end - BLOCK), min(end, count)) for end in ends]


def accumulate(sums, shift, addends):
    """Sums after a block: shifted right, rounding down, and what the block adds."""
    return (sums >> shift) + addends


def attend(q, q_exponent, k, k_exponent, v, v_exponent, start=0, cap=0.0):
    """Attend to all given positions.

    Parameters
    ----------
    q, q_exponent : int16 (queries, head_dim), uint8 (queries,)
        :func:`~sw_ref.numerics.quantize` with 16 bits, one group per head.
    k, k_exponent, v, v_exponent : int8 (positions, head_dim), uint8 (positions,)
        :func:`~sw_ref.numerics.quantize` with 8 bits, one group per head.
    start : :class:`int`
        Position of the first of them: more than 0 where a window begins.
    cap : :class:`float`
        Cap of the scores in natural units, see :func:`capped`. 0: none.

    Returns
    -------
    numerators : float32 (queries, head_dim), denominators : float32 (queries,)
        Their quotient is the result. Accumulators: 40 bits signed and 32 bits unsigned, which
        cannot overflow below 65536 positions.
    """
    v = v.astype(np.int64)
    numerator, denominator = np.zeros(q.shape, np.int64), np.zeros(len(q), np.int64)
    lift: Any = None  # the last block's
    score = scores(q, q_exponent, k, k_exponent)
    score = capped(score, cap) if cap else score
    parts = weights(score, v_exponent, start)
    for block, (shifts, (factors, shares), lift) in zip(blocks(start, len(v)), parts):
        numerator = accumulate(numerator, shifts[0][:, None], factors @ v[block])
        denominator = accumulate(denominator, shifts[1], shares.sum(1))

    # numerator * 2**(lifted_top - 15) * 2**-133 over denominator * 2**(top - 15)
    return shifted(numerator.astype(f32), (lift - 133)[:, None]), denominator.astype(f32)
