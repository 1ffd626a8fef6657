"""GPTQ (arXiv:2210.17323), as AutoGPTQ and GPTQModel write it: `gptq` and `gptq_v2`.

==========  ===================  ==============================================================
tensor      shape                content
==========  ===================  ==============================================================
`qweight`   (K * bits / 32, N)   codes, packed along K into int32, the lowest bits first
`qzeros`    (groups, N * bits    zero points, packed along N; in `gptq` less 1
            / 32)
`scales`    (groups, N)          floats
`g_idx`     (K,)                 the group of each column; may be missing if they are in turn
==========  ===================  ==============================================================

A weight is scale * (code - zero point).
"""

import numpy as np

from host.errors import UserError

from .codes import affine, format_of, group_count, groups_by_column, unpack
from .layout import Layout, Matrix, register


__all__ = ["NOTES", "Gptq"]


BITS = (2, 3, 4, 8)  # that GPTQModel packs without planes of bits
# How codes were found, and what kernels are to run. Tensors say what `desc_act`, `sym`,
# `static_groups` and `lm_head` do.
NOTES = frozenset(
    "act_group_aware backend batch_size block_name_to_quantize cache_block_outputs "
    "damp_auto_increment damp_percent dataset desc_act disable_exllama exllama_config lm_head "
    "max_input_length meta model_file_base_name model_name_or_path model_seqlen "
    "module_name_preceding_first_block modules_in_block_to_quantize mse pad_token_id "
    "static_groups sym tokenizer true_sequential use_cuda_fp16 use_exllama".split()
)


@register
class Gptq(Layout):
    method = "gptq"
    notes = NOTES

    def configure(self):
        self.bits = self.choice("bits", BITS)
        self.group_size = self.size("group_size", 128)
        formats = {
            self.choice(key, ("gptq", "gptq_v2", None)) for key in ("checkpoint_format", "format")
        } - {None}
        if len(formats) > 1:
            self.refuse("'checkpoint_format' and 'format' must be the same")
        self.stored_less = 0 if formats == {"gptq_v2"} else 1
        self.choice("method", ("gptq", None))
        self.choice("pack_dtype", ("int32", None))
        for key in "adapter", "is_marlin_format", "rotation":
            self.absent(key)
        if any(not pattern.startswith("-:") for pattern in self.object("dynamic")):
            self.refuse("'dynamic' must only have modules that stay floats, which begin with '-:'")

    def packed(self, module, shape):
        (rows, depth), bits = shape, self.bits
        groups = group_count(self, "group_size", self.group_size, depth)
        words = -(-rows * bits // 32)
        weight = self.find(f"{module}.qweight", (depth * bits // 32, rows), ["I32"])
        zeros = self.find(f"{module}.qzeros", (groups, words), ["I32"])
        scales = self.find(f"{module}.scales", (groups, rows))
        tensors, index = [weight, zeros, scales], None
        if f"{module}.g_idx" in self.folder.tensors:
            tensors.append(self.find(f"{module}.g_idx", (depth,), ["I32"]))
            index = groups_by_column(tensors[-1], groups, depth)
        elif self.about.get("desc_act"):
            self.find(f"{module}.g_idx", (depth,), ["I32"])
        if bias := self.zero_bias(module, rows):
            tensors.append(bias)

        def decode():
            codes = unpack(weight.values().T, bits, depth)
            return affine(bits, codes, self.zero_points(zeros, rows).T, scales.floats().T, index)

        return Matrix(
            name=f"{module}.weight",
            source=f"GPTQ {bits}-bit",
            shape=shape,
            tensors=tensors,
            format=format_of(bits, index),
            decode=decode,
        )

    def zero_points(self, tensor, rows):
        """Zero points, int16 (groups, rows)."""
        stored = unpack(tensor.values(), self.bits, rows).astype(np.int16)
        if self.stored_less and stored.max() == (1 << self.bits) - 1:
            raise UserError(
                f"{tensor.path}: tensor {tensor.name!r} has a zero point that 'gptq' has no code "
                "for, and readers differ in what it means; convert the model to 'gptq_v2'"
            )
        return stored + np.int16(self.stored_less)

    def zero_bias(self, module, rows):
        """The bias that AutoGPTQ gives to modules without one: zeros."""
        tensor = self.folder.tensors.get(f"{module}.bias")
        if tensor is not None and tensor.shape == (rows,) and not tensor.floats().any():
            return tensor
        return None
