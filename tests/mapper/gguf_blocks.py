"""Tensors of all types that a GGUF may have, where the library `gguf` does not make them."""

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf.constants import GGML_QUANT_SIZES


# Bytes of a block at which half floats are, and what they are for weights of about 1.
SCALES = {
    Type.Q4_0: {0: 0.1},
    Type.Q4_1: {0: 0.1, 2: -0.75},
    Type.Q5_0: {0: 0.05},
    Type.Q5_1: {0: 0.05, 2: -0.75},
    Type.Q8_0: {0: 0.01},
    Type.Q2_K: {80: 0.1, 82: 0.15},
    Type.Q3_K: {108: 0.015},
    Type.Q4_K: {0: 0.003, 2: 0.02},
    Type.Q5_K: {0: 0.0015, 2: 0.02},
    Type.Q6_K: {208: 0.0005},
    Type.IQ4_NL: {0: 0.01},
    Type.IQ4_XS: {0: 0.0005},
    Type.TQ1_0: {52: 1.0},
    Type.TQ2_0: {64: 1.0},
    Type.Q1_0: {0: 1.0},
}


def dequantize(raw, kind):
    """As the library, but for Q1_0, which 0.19 has no code for: a sign for each bit of 16 bytes
    behind the scale, in ggml's order."""
    if kind != Type.Q1_0:
        return gguf.dequantize(raw, Type(kind))
    blocks = raw.reshape(-1, 18)
    d = blocks[:, :2].copy().view("<f2").astype(np.float32)
    bits = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little")
    return np.where(bits == 1, d, -d).reshape(len(raw), -1)


def quantize(weights, kind, seed=1):
    """Rows of bytes: `weights` in the type, or random blocks of about their size if the library
    cannot round to it."""
    try:
        return gguf.quantize(weights, kind)
    except NotImplementedError:
        pass
    elements, size = GGML_QUANT_SIZES[kind]
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (len(weights), weights.shape[1] // elements, size), np.uint8)
    rms = np.sqrt(np.square(weights).mean())
    if kind == Type.NVFP4:
        blocks[..., :4] = 0x10  # an exponent
    for at, scale in SCALES.get(kind, {}).items():
        blocks[..., at : at + 2] = np.array([scale * rms], "<f2").view(np.uint8)
    return blocks.reshape(len(weights), -1)
