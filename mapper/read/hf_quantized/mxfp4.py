"""MXFP4, as gpt-oss has it: numbers of E2M1 in groups of 32 with a power of two each (E8M0).

`weight_blocks` is uint8 (N, K / 32, 16), two numbers a byte, the low nibble first;
`weight_scales` is uint8 (N, K / 32), the power of two plus 127. `OCP Microscaling Formats (MX) 1.0
<https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf>`_.
"""

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from ..gguf_types import Codes
from ..gguf_types.fp4 import E8M0
from .layout import Layout, Matrix, register


__all__ = ["Mxfp4"]


NAN = 255  # of E8M0


@register
class Mxfp4(Layout):
    method = "mxfp4"
    notes = frozenset(["dequantize", "modules_to_not_convert"])

    def packed(self, module, shape):
        rows, depth = shape
        groups = depth // GROUP
        blocks = self.find(f"{module}.weight_blocks", (rows, groups, GROUP // 2), ["U8"])
        scales = self.find(f"{module}.weight_scales", (rows, groups), ["U8"])

        def decode():
            raw, exponents = blocks.values(), scales.values()
            if (exponents == NAN).any():
                raise UserError(
                    f"{scales.path}: tensor {scales.name!r} must be finite, not NaN; "
                    "get the file again"
                )
            codes = np.stack([raw & 15, raw >> 4], -1).reshape(shape)
            return Codes(format=WeightFormat.FP4, codes=codes, d=E8M0[exponents])

        return Matrix(
            name=f"{module}.weight",
            source="MXFP4",
            shape=shape,
            tensors=[blocks, scales],
            format=WeightFormat.FP4,
            decode=decode,
        )
