"""F32, F16, BF16: floats, a block each."""

import numpy as np

from .block_type import block_type


@block_type(0, elements=1, size=4)
def f32(blocks):
    return blocks.view("<f4")[..., 0].astype(np.float32)


@block_type(1, elements=1, size=2)
def f16(blocks):
    return blocks.view("<f2")[..., 0].astype(np.float32)


@block_type(30, elements=1, size=2)
def bf16(blocks):
    """The upper halves of float32."""
    return (blocks.view("<u2")[..., 0].astype(np.uint32) << 16).view(np.float32)
