"""Writes matrices as quantizers do, and their weights: each layout from its specification, bit by
bit, and not with the reader's code.

Every packer takes a module's name, unsigned codes (rows, K), zero points and scales (rows, groups),
and returns tensors by name. A weight is scale * (code - zero).
"""

import numpy as np


__all__ = [
    "awq",
    "bitnet",
    "bitstream",
    "gptq",
    "group_index",
    "headrace",
    "int_quantized",
    "mxfp4",
    "pack_quantized",
]


def bitstream(values, bits):
    """Rows of unsigned values as one stream of bits each, the lowest first: int32, zeros behind."""
    rows, count = values.shape
    ones = (values[..., None].astype(np.int64) >> np.arange(bits) & 1).reshape(rows, -1)
    stream = np.zeros((rows, -(-count * bits // 32) * 32), np.uint8)
    stream[:, : ones.shape[1]] = ones
    return np.packbits(stream, axis=1, bitorder="little").view("<i4")


def group_index(depth, groups, shuffled=False):
    """The group of each column: in turn, or as `desc_act` makes them."""
    index = np.arange(depth) * groups // depth
    return np.random.default_rng(depth).permutation(index) if shuffled else index


def gptq(module, codes, zeros, scales, bits=4, less=1, shuffled=False):
    """AutoGPTQ: all turned, codes and zero points along different sides."""
    index = group_index(codes.shape[1], scales.shape[1], shuffled)
    return {
        f"{module}.qweight": bitstream(codes, bits).T,
        f"{module}.qzeros": bitstream((zeros - less).T, bits),
        f"{module}.scales": scales.T.astype(np.float16),
        f"{module}.g_idx": index.astype(np.int32),
    }


def awq_words(values):
    """AutoAWQ: field i of a word is column 0, 2, 4, 6, 1, 3, 5, 7 of eight."""
    rows, count = values.shape
    words = np.zeros((rows, count // 8), np.uint32)
    for i, column in enumerate((0, 2, 4, 6, 1, 3, 5, 7)):
        words |= values[:, column::8].astype(np.uint32) << np.uint32(4 * i)
    return words.view(np.int32)


def awq(module, codes, zeros, scales):
    return {
        f"{module}.qweight": awq_words(codes.T),
        f"{module}.qzeros": awq_words(zeros.T),
        f"{module}.scales": scales.T.astype(np.float16),
    }


def pack_quantized(
    module, codes, zeros, scales, bits=4, symmetric=False, loose=False, whole=False, shuffled=False
):
    """compressed-tensors: codes with an offset that makes them unsigned; `loose` zero points are
    bytes, as older versions have them; so do those have `shuffled` columns. `whole`: one scale for
    the matrix."""
    half, index = 1 << bits - 1, group_index(codes.shape[1], scales.shape[1], shuffled)
    packed_zeros = (zeros - half).astype(np.int8) if loose else bitstream(zeros.T, bits).T
    return {
        f"{module}.weight_packed": bitstream(codes, bits),
        f"{module}.weight_scale": (scales[:1, 0] if whole else scales).astype(np.float32),
        f"{module}.weight_shape": np.array(codes.shape, np.int64),
        **({} if symmetric else {f"{module}.weight_zero_point": packed_zeros}),
        **({f"{module}.weight_g_idx": index.astype(np.int32)} if shuffled else {}),
    }


def int_quantized(module, codes, zeros, scales, bits=8, symmetric=False, whole=False):
    """compressed-tensors: signed bytes. `whole`: one scale for the matrix."""
    half, few = 1 << bits - 1, (lambda v: v[:1, 0]) if whole else (lambda v: v)
    return {
        f"{module}.weight": (codes.astype(np.int16) - half).astype(np.int8),
        f"{module}.weight_scale": few(scales).astype(np.float16),
        **({} if symmetric else {f"{module}.weight_zero_point": few(zeros - half).astype(np.int8)}),
    }


def bitnet(module, codes, zeros, scales, divides=True):
    """transformers: a byte has one weight of each quarter of the rows. Zero is code 1."""
    quarter = len(codes) // 4
    packed = sum(codes[i * quarter :][:quarter].astype(np.uint8) << (2 * i) for i in range(4))
    scale = scales[:1, 0]
    return {
        f"{module}.weight": packed,
        f"{module}.weight_scale": np.float32(1) / scale if divides else scale,
    }


def mxfp4(module, codes, zeros, scales):
    """gpt-oss: codes of E2M1, scales that are powers of two."""
    pairs = codes.reshape(len(codes), -1, 16, 2)
    return {
        f"{module}.weight_blocks": (pairs[..., 0] | pairs[..., 1] << 4).astype(np.uint8),
        f"{module}.weight_scales": (np.log2(scales) + 127).astype(np.uint8),
    }


def headrace(module, codes, zeros, scales):
    """Odd integers of U4, and a scale for each row."""
    return {
        f"{module}.weight": (2 * codes.astype(np.int16) - 15).astype(np.int8),
        f"{module}.weight_scale": 0.5 * scales[:, 0],
    }
