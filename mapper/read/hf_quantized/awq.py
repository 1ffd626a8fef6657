"""AWQ (arXiv:2306.00978), as AutoAWQ's version `gemm` writes it.

=========  ================  ===========================================================
tensor     shape             content
=========  ================  ===========================================================
`qweight`  (K, N / 8)        codes of 4 bits, packed along N into int32 in :data:`ORDER`
`qzeros`   (groups, N / 8)   zero points, packed in the same order
`scales`   (groups, N)       floats
=========  ================  ===========================================================

A weight is scale * (code - zero point).
"""

import numpy as np

from .codes import affine, format_of, group_count, unpack
from .gptq import NOTES
from .layout import Layout, Matrix, register


__all__ = ["Awq"]


BITS = 4
ORDER = (0, 2, 4, 6, 1, 3, 5, 7)  # column of eight that each field of an int32 has


def columns(words, count):
    """Fields (rows, count) of int32 (rows, count / 8), in the order of their columns."""
    fields = unpack(words, BITS, count).reshape(len(words), -1, 8)
    return fields[..., np.argsort(ORDER)].reshape(len(words), count)


@register
class Awq(Layout):
    method = "awq"
    # transformers writes GPTQ's keys, too. Zero points are there without `zero_point` as well.
    notes = NOTES | frozenset(
        "do_fuse fuse_max_seq_len modules_to_fuse modules_to_not_convert zero_point".split()
    )

    def configure(self):
        self.choice("bits", (BITS,), self.choice("w_bit", (BITS, None)))
        self.group_size = self.size("group_size", self.size("q_group_size", 128))
        for key in "version", "format", "checkpoint_format":
            self.choice(key, ("gemm", "GEMM", None))
        self.choice("method", ("awq", None))
        self.choice("pack_dtype", ("int32", None))
        for key in "adapter", "dynamic", "rotation":
            self.absent(key)

    def packed(self, module, shape):
        rows, depth = shape
        if rows % 8:
            self.refuse(f"rows of {module!r} must be a multiple of 8 in AWQ, not {rows}")
        groups = group_count(self, "group_size", self.group_size, depth)
        weight = self.find(f"{module}.qweight", (depth, rows // 8), ["I32"])
        zeros = self.find(f"{module}.qzeros", (groups, rows // 8), ["I32"])
        scales = self.find(f"{module}.scales", (groups, rows))

        def decode():
            codes = np.ascontiguousarray(columns(weight.values(), rows).T)
            return affine(BITS, codes, columns(zeros.values(), rows).T, scales.floats().T)

        return Matrix(
            name=f"{module}.weight",
            source="AWQ 4-bit",
            shape=shape,
            tensors=[weight, zeros, scales],
            format=format_of(BITS),
            decode=decode,
        )
