"""BitNet b1.58 (arXiv:2402.17764), as transformers packs it: weights -1, 0, 1 and one scale.

`weight` is uint8 (N / 4, K): bits 2i and 2i + 1 of its row r have 1 more than the weights of row
i * N / 4 + r. `weight_scale` is one float, which the class `autobitlinear` multiplies by, and
`bitlinear` divides by.
"""

import numpy as np

from host.errors import UserError
from rtl.spec.isa import WeightFormat

from ..gguf_types import Codes
from .layout import Layout, Matrix, register


__all__ = ["BitNet"]


@register
class BitNet(Layout):
    method = "bitnet"
    notes = frozenset(["modules_to_not_convert", "rms_norm_eps"])

    def configure(self):
        its = self.choice("linear_class", ("bitlinear", "autobitlinear"), "bitlinear")
        self.divides = its == "bitlinear"
        self.choice("quantization_mode", ("offline",), "offline")
        self.absent("use_rms_norm")

    def packed(self, module, shape):
        rows, depth = shape
        if rows % 4:
            self.refuse(f"rows of {module!r} must be a multiple of 4 in BitNet, not {rows}")
        weight = self.find(f"{module}.weight", (rows // 4, depth), ["U8"])
        scale = self.find(f"{module}.weight_scale", (1,))

        def decode():
            codes = weight.values() >> np.arange(0, 8, 2, dtype=np.uint8)[:, None, None] & np.uint8(
                3
            )
            if (codes == 3).any():
                raise UserError(
                    f"{weight.path}: tensor {weight.name!r} must have fields from 0 to 2, not 3; "
                    "get the file again"
                )
            d = 1 / scale.floats() if self.divides else scale.floats()
            return Codes(
                format=WeightFormat.TERNARY,
                codes=codes.astype(np.int8).reshape(shape) - np.int8(1),
                d=np.repeat(d[:, None], rows, 0),
            )

        return Matrix(
            name=weight.name,
            source="BitNet",
            shape=shape,
            tensors=[weight, scale],
            format=WeightFormat.TERNARY,
            decode=decode,
        )
