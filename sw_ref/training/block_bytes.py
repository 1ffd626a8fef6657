"""Bytes of the blocks of :mod:`.blocks`, as ggml has them (`mapper/read/gguf_types` reads them)."""

import numpy as np


__all__ = ["SIZES", "pack"]


# Weights and bytes of a block.
SIZES = {"q1_0": (128, 18), "q2_k": (256, 84), "q3_k": (256, 110), "q8_0": (32, 34)}


def fields(values, bits, run):
    """Bytes (rows, blocks, n * bits / 8) of integers (rows, blocks, n): the lowest fields of `run`
    bytes come first, then the next ones of the same bytes."""
    values = values.astype(np.uint8).reshape(*values.shape[:2], -1, 8 // bits, run)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return np.bitwise_or.reduce(values << shifts, -2).reshape(*values.shape[:2], -1)


def half(x):
    """Bytes (rows, blocks, 2) of a half float a block."""
    return x.reshape(*x.shape[:2], 1).astype("<f2").view(np.uint8)


def q1_0(codes, d, dmin, scale):
    """d; a sign each."""
    return half(dmin), fields(codes, 1, 1)


def q2_k(codes, d, dmin, scale):
    """Scales and minima of 16 each; codes; d and dmin."""
    scale = scale.astype(np.uint8).repeat(2, -1)
    return scale | scale << 4, fields(codes, 2, 32), half(d), half(dmin)


def q3_k(codes, d, dmin, scale):
    """Third bits; the others; scales of 16 each, more by 32: four bits, then two; d."""
    codes, scale = codes.astype(np.uint8), (scale + 32).astype(np.uint8).repeat(2, -1)
    scales = fields(scale & 15, 4, 8), fields(scale >> 4, 2, 4)
    return fields(codes >> 2, 1, 32), fields(codes & 3, 2, 32), *scales, half(d)


def q8_0(codes, d, dmin, scale):
    """d; codes, less 128."""
    return half(d), (codes - 128).astype(np.int8).view(np.uint8)


def pack(blocks, form):
    """Bytes uint8 (rows, bytes of a row) of :class:`.blocks.Blocks` in a type."""
    rows, count = blocks.codes.shape[:2]
    parts = (blocks.codes, blocks.d, blocks.dmin, blocks.scale)
    codes, d, dmin, scale = (part.numpy().reshape(rows, count, -1) for part in parts)
    made = {"q1_0": q1_0, "q2_k": q2_k, "q3_k": q3_k, "q8_0": q8_0}[form](codes, d, dmin, scale)
    return np.concatenate(made, -1).reshape(rows, -1)
