"""MXFP4, NVFP4: 4-bit floats with a sign, two bits of exponent and one of mantissa (E2M1).

Twice a number of E2M1 is an integer up to 12, so scales are taken by half. `OCP Microscaling
Formats (MX) 1.0 <https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf>`_
defines E2M1 and E8M0.
"""

import numpy as np

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields


E8M0 = np.ldexp(np.float32(0.5), np.arange(256) - 127)  # by half; exact, below 2**-126, too
# E4M3 without its sign, by half; GGUF takes NaN as 0.
_bytes = np.arange(256)
_exponent, _mantissa = _bytes >> 3 & 15, _bytes & 7
UE4M3 = np.where(
    _exponent > 0, np.ldexp(8.0 + _mantissa, _exponent - 11), np.ldexp(_mantissa, -10)
).astype(np.float32)
UE4M3[[0, 0x7F]] = 0


@block_type(39, elements=32, size=17, format=WeightFormat.FP4)
def mxfp4(blocks):
    """A power of two for each 32."""
    codes = fields(blocks[..., 1:], 4, 16).reshape(len(blocks), -1)
    return Codes(format=WeightFormat.FP4, codes=codes, d=E8M0[blocks[..., 0]])


@block_type(40, elements=64, size=36, format=WeightFormat.FP4_16)
def nvfp4(blocks):
    """Four scales, for 16 each, and the codes."""
    codes = fields(blocks[..., 4:], 4, 8)
    return Codes(
        format=WeightFormat.FP4_16,
        codes=codes.reshape(len(blocks), -1),
        d=UE4M3[blocks[..., :4]].reshape(len(blocks), -1),
    )
