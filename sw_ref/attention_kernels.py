"""Attention, compiled to machine code when first called: the same bits as :mod:`sw_ref.attention`,
which defines them.
"""

import numpy as np

from rtl.spec import score_cap
from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from rtl.spec.score_cap import EXTRA, PIECES

from .attention import BLOCK, EMPTY, EXP2, FRACTION, SCORE_BITS, SHIFT_LIMIT
from .kernels import kernel, shifted
from .numerics import f32


__all__ = ["NO_CURVE", "curve", "capped", "attend"]


NO_CURVE = np.zeros(0, np.int64), 0


def curve(cap):
    """Nodes and shift of a cap's curve, as :func:`attend` takes them; `NO_CURVE` of 0."""
    if not cap:
        return NO_CURVE
    its = score_cap.curve(cap)
    return np.array(its.nodes), its.shift


@kernel
def capped(score, nodes, shift):
    """As :func:`sw_ref.attention.capped`, of one score, on a curve's nodes."""
    magnitude = min(abs(score), (PIECES << shift) - 1)
    piece, place = magnitude >> shift, magnitude & (1 << shift) - 1
    exact = nodes[piece] + ((nodes[piece + 1] - nodes[piece]) * place >> shift)
    result = (exact + (1 << EXTRA - 1)) >> EXTRA
    return -result if score < 0 else result


@kernel
def attend(memory, blocks, start, length, q, exponents, nodes, shift):
    """Attend to the positions from `start` to below `length` of a KV head.

    `blocks` are the bytes of DRAM, int64, at which its blocks begin, from that of `start` on.
    `nodes`, int64, and `shift` are those of the curve that caps scores, `NO_CURVE` if none does.
    `q` and `exponents`, and the results, are :func:`sw_ref.attention.attend`'s.
    """
    queries, dim = q.shape
    block_bytes = UNIT_BYTES + 2 * KV_BLOCK * dim
    limit = 1 << SCORE_BITS - 1
    numerators, denominators = np.empty((queries, dim), np.float32), np.empty(queries, np.float32)
    table, whole = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    lifted, numerator, added = (
        np.empty(BLOCK, np.int64),
        np.empty(dim, np.int64),
        np.empty(dim, np.int32),
    )
    for n in range(queries):
        top, lifted_top, denominator = EMPTY, EMPTY, 0
        numerator[:] = 0
        for which, at in enumerate(blocks):
            first = (start // BLOCK + which) * BLOCK
            low, high = max(start - first, 0), min(BLOCK, length - first)
            block = memory[at:][:block_bytes]
            scale = block[:UNIT_BYTES].reshape(2, KV_BLOCK)
            lines = block[UNIT_BYTES:].view(np.int8).reshape(2, KV_BLOCK, dim)
            new_top, new_lifted = top, lifted_top
            for p in range(low, high):
                dot = 0
                for i in range(dim):
                    dot += q[n, i] * lines[0, p, i]
                left = np.int64(exponents[n]) + scale[0, p] - 264
                score = (dot << min(max(left, 0), 24)) >> min(max(-left, 0), 40)
                score = min(max(score, -limit), limit - 1)
                if len(nodes):
                    score = capped(score, nodes, shift)
                table[p], whole[p] = EXP2[score & (1 << FRACTION) - 1], score >> FRACTION
                lifted[p] = whole[p] + scale[1, p]
                new_top, new_lifted = max(new_top, whole[p]), max(new_lifted, lifted[p])
            denominator >>= min(new_top - top, SHIFT_LIMIT)
            for i in range(dim):
                numerator[i] >>= min(new_lifted - lifted_top, SHIFT_LIMIT)
            top, lifted_top = new_top, new_lifted
            added[:] = 0  # 32 bits hold a block's sums.
            for p in range(low, high):
                denominator += table[p] >> min(top - whole[p], SHIFT_LIMIT)
                weight = np.int32(table[p] >> min(lifted_top - lifted[p], SHIFT_LIMIT))
                for i in range(dim):
                    added[i] += weight * lines[1, p, i]
            for i in range(dim):
                numerator[i] += added[i]
        for i in range(dim):
            numerators[n, i] = shifted(f32(numerator[i]), lifted_top - top - 133)
        denominators[n] = denominator
    return numerators, denominators
