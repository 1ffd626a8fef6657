"""The machine's own integers, for models that were trained in them.

`format` is one of :mod:`rtl.spec.formats` in small letters. Each matrix is a tensor of int8
integers, and beside `NAME` there is `NAME_scale`, one float per row. A weight is integer * scale,
in every format: the integers of ``u2``, for one, are -3, -1, 1 and 3. The embedding and the head
have the integers of ``s8``.
"""

import numpy as np

from host.errors import UserError
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from ..bounds import check_values
from ..gguf_types import Codes
from .layout import Layout, Matrix, register


__all__ = ["METHOD", "Headrace"]


METHOD = "headrace"
NATIVE = {fmt.name.lower(): fmt for fmt in WeightFormat}


def looked_up(table, codes):
    """What a table has for each of int8 codes, 256 entries of a byte each in the order of uint8.

    A whole model's weights pass through here, and indexing takes several times as long.
    """
    found = bytearray(codes.tobytes().translate(table.tobytes()))
    return np.frombuffer(found, table.dtype).reshape(codes.shape)


def integers(tensor, scale, fmt):
    """A matrix in the machine's own integers of a format."""
    codes = tensor.raw(["I8"], "weights of this 'quant_method' are integers")
    its, every = FORMATS[fmt], np.arange(256).astype(np.int8)
    allowed = np.unique(its.grid(its.every_code))
    low, high = allowed[0], allowed[-1]
    outside = looked_up(~np.isin(every, allowed), codes)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        steps = set(np.diff(allowed).tolist())
        what = {1: f"integers from {low} to {high}", 2: f"odd integers from {low} to {high}"}.get(
            max(steps) if len(steps) == 1 else 0, f"integers of {', '.join(map(str, allowed))}"
        )
        raise UserError(
            f"{tensor.path}: tensor {tensor.name!r} must have {what}, as "
            f"{fmt.name.lower()} has, not {codes[row, column]} in row {row}, column {column}"
        )
    codes = looked_up(its.nearest(every), codes)
    d = scale.floats()
    check_values(scale.path, f"{tensor.name} times its scale", d.astype(np.float64) * low)
    return Codes(format=fmt, codes=codes, d=d[:, None])


@register
class Headrace(Layout):
    method = METHOD

    def configure(self):
        self.format = NATIVE[self.choice("format", NATIVE)]

    def holds(self, module):
        return True

    def packed(self, module, shape):
        vocabulary = module in ("model.embed_tokens", "lm_head")
        fmt, name = WeightFormat.S8 if vocabulary else self.format, f"{module}.weight"
        tensors = [self.folder.find(name, shape), self.folder.find(f"{name}_scale", shape[:1])]
        return Matrix(
            name=name,
            source=fmt.name,
            shape=shape,
            tensors=tensors,
            format=fmt,
            decode=lambda: integers(tensors[0], tensors[1], fmt),
        )
