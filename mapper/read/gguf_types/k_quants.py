"""Q2_K to Q6_K: blocks of 256 with a half-float scale, in groups with small integer scales.

Groups are of 32 weights in Q4_K and Q5_K, and of 16 in the others. A weight is d * s * code, or
d * s * code - dmin * s', with integers s and s' of the group.
"""

import numpy as np

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


f32 = np.float32


def times(scale, codes, minimum=None):
    """The weights (rows, K) of `codes`, of any shape, whose groups have the scales (rows, blocks,
    groups) and minima."""
    codes = codes.reshape(*scale.shape, -1).astype(f32)
    weights = scale[..., None] * codes
    if minimum is not None:
        weights -= minimum[..., None]
    return weights.reshape(len(weights), -1)


def scales_and_minima(packed):
    """Eight scales and eight minima, of 6 bits each, of 12 bytes (rows, blocks, 12): times the
    block's own, they are float32 (rows, blocks, 8)."""
    scale, minimum, rest = packed[..., :4], packed[..., 4:8], packed[..., 8:]
    return (
        np.concatenate([scale & 63, rest & 15 | scale >> 2 & 48], -1).astype(f32),
        np.concatenate([minimum & 63, rest >> 4 | minimum >> 2 & 48], -1).astype(f32),
    )


def paired(integers):
    """Whether groups of 16 have the same integers two by two, (rows, blocks, 16), and so are the
    machine's groups of 32."""
    return bool((integers[..., ::2] == integers[..., 1::2]).all())


def every_other(scale):
    """Scales (rows, groups) of 32 weights each, of those of :func:`paired` groups of 16."""
    return np.ascontiguousarray(scale[..., ::2]).reshape(len(scale), -1)


def q2_k_format(blocks):
    return WeightFormat.U2 if paired(blocks[..., :16]) else WeightFormat.S8


@block_type(10, elements=256, size=84, format=q2_k_format)
def q2_k(blocks, format):
    """16 bytes of nibbles, scale and minimum; codes of 2 bits; d and dmin."""
    scale = half(blocks, 80)[..., None] * (blocks[..., :16] & 15).astype(f32)
    minimum = half(blocks, 82)[..., None] * (blocks[..., :16] >> 4).astype(f32)
    codes = fields(blocks[..., 16:80], 2, 32)
    if format == WeightFormat.S8:
        return times(scale, codes, minimum)
    return Codes(
        format=WeightFormat.U2,
        codes=codes.reshape(len(codes), -1),
        d=every_other(scale),
        m=-every_other(minimum),
    )


def q3_k_scales(blocks):
    """16 integers from -32 to 31 of each block."""
    low, high = fields(blocks[..., 96:104], 4, 8), fields(blocks[..., 104:108], 2, 4)
    return (low | high << 4).astype(np.int8) - np.int8(32)


def q3_k_format(blocks):
    return WeightFormat.U3 if paired(q3_k_scales(blocks)) else WeightFormat.S6


@block_type(11, elements=256, size=110, format=q3_k_format)
def q3_k(blocks, format):
    """Third bits, 0 for 4 less; codes of 2 bits; scales, less 32: nibbles, then 2 bits each; d."""
    scale = half(blocks, 108)[..., None] * q3_k_scales(blocks).astype(f32)
    codes = fields(blocks[..., 32:96], 2, 32) | fields(blocks[..., :32], 1, 32) << 2
    codes = codes.reshape(len(codes), -1)
    if format == WeightFormat.S6:
        d = scale.reshape(len(codes), -1)
        return Codes(format=WeightFormat.S6, codes=codes.astype(np.int8) - np.int8(4), d=d)
    d = every_other(scale)
    return Codes(format=WeightFormat.U3, codes=codes, d=d, m=-4 * d)


@block_type(12, elements=256, size=144, format=WeightFormat.U4)
def q4_k(blocks):
    """d and dmin; scales and minima; codes, which are kept."""
    scale, minimum = scales_and_minima(blocks[..., 4:16])
    rows = len(blocks)
    return Codes(
        format=WeightFormat.U4,
        codes=fields(blocks[..., 16:], 4, 32).reshape(rows, -1),
        d=(half(blocks, 0)[..., None] * scale).reshape(rows, -1),
        m=-(half(blocks, 2)[..., None] * minimum).reshape(rows, -1),
    )


@block_type(13, elements=256, size=176, format=WeightFormat.U5)
def q5_k(blocks):
    """As Q4_K, and fifth bits before the codes."""
    scale, minimum = scales_and_minima(blocks[..., 4:16])
    rows = len(blocks)
    codes = fields(blocks[..., 48:], 4, 32) | fields(blocks[..., 16:48], 1, 32) << 4
    return Codes(
        format=WeightFormat.U5,
        codes=codes.reshape(rows, -1),
        d=(half(blocks, 0)[..., None] * scale).reshape(rows, -1),
        m=-(half(blocks, 2)[..., None] * minimum).reshape(rows, -1),
    )


@block_type(14, elements=256, size=210, format=WeightFormat.S6)
def q6_k(blocks):
    """Codes, less 32: nibbles, then 2 bits each; 16 signed bytes of scales; d."""
    codes = fields(blocks[..., :128], 4, 64) | fields(blocks[..., 128:192], 2, 32) << 4
    scale = np.ascontiguousarray(blocks[..., 192:208]).view(np.int8).astype(f32)
    rows = len(blocks)
    return Codes(
        format=WeightFormat.S6,
        codes=(codes.astype(np.int8) - np.int8(32)).reshape(rows, -1),
        d=(half(blocks, 208)[..., None] * scale).reshape(rows, -1),
    )
