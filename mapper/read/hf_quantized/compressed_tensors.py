"""compressed-tensors, as llm-compressor writes it: integers packed (`pack-quantized`) or in bytes
(`int-quantized`, `naive-quantized`).

=====================  =====================  ==================================================
tensor                 shape                  content
=====================  =====================  ==================================================
`weight_packed`        (N, K * bits / 32)     codes plus 2**(bits - 1), packed along K into int32
`weight_shape`         (2,)                   N and K
or `weight`            (N, K)                 codes, int8
`weight_scale`         (N, groups) or (1,)    floats
`weight_zero_point`    (N * bits / 32,        zero points, packed along N as codes are; or int8
                       groups)                of the scale's shape; missing in symmetric schemes
`weight_g_idx`         (K,)                   the group of each column, of older versions
=====================  =====================  ==================================================

A weight is scale * (code - zero point). Each of `config_groups` is a scheme for some modules. The
tensors of a module say which scheme it is of, so that names in `targets` and `ignore` need not be
matched. Scales of activations are not used: the machine rounds those by its own rule.
"""

from dataclasses import dataclass

import numpy as np

from host.errors import UserError

from ..bounds import brief
from .codes import affine, format_of, group_count, groups_by_column, unpack
from .layout import Layout, Matrix, register


__all__ = ["CompressedTensors"]


PACKED, BYTES = "pack-quantized", ("int-quantized", "naive-quantized")
FORMATS = (PACKED, *BYTES)
UNUSED = ("input_scale", "input_zero_point", "output_scale", "output_zero_point")  # of activations
SCHEME = {"targets", "weights", "input_activations", "output_activations", "format"}
WEIGHTS = {"num_bits", "type", "symmetric", "strategy", "group_size", "block_structure", "dynamic"}
NOTES = {"observer", "observer_kwargs", "scale_dtype", "zp_dtype", "actorder"}  # g_idx says it


@dataclass(frozen=True)
class Scheme:
    """What is said of some modules' weights. `group_size` is -1 for a whole row, 0 for the
    tensor."""

    packed: bool
    bits: int
    symmetric: bool
    group_size: int

    @property
    def source(self):
        """What reports call it."""
        return f"{PACKED if self.packed else BYTES[0]} {self.bits}-bit"


@register
class CompressedTensors(Layout):
    method = "compressed-tensors"
    # `ignore`: see above. `quantization_status`: older versions say "frozen" of packed files, too.
    notes = frozenset("global_compression_ratio ignore quantization_status version".split())

    def configure(self):
        its = self.choice("format", (*FORMATS, "mixed-precision"))
        for key in "kv_cache_scheme", "moe_sparsity_config":
            self.absent(key)
        self.none_within("sparsity_config", "format", (None, "dense"))
        self.none_within("transform_config", "config_groups", (None, {}))
        groups = self.object("config_groups")
        made = [self.scheme(name, about, its) for name, about in groups.items()]
        self.schemes = [scheme for scheme in made if scheme]
        if not self.schemes:
            self.refuse("'config_groups' must have a scheme with 'weights', it has none")

    def none_within(self, key, inner, neutral):
        """Refuse an object that says more than one of `neutral` under the key `inner`."""
        about = self.object(key)
        if about.get(inner) not in neutral:
            self.refuse(f"{key!r} must be null, not {brief(about)}")

    def scheme(self, name, about, layout):
        """The :class:`Scheme` of an entry of `config_groups`, None if it leaves weights as they
        are."""
        of = f" of {brief(name)}"
        weights = about.get("weights") if isinstance(about, dict) else about
        if isinstance(about, dict) and weights is None:
            return None
        if not isinstance(weights, dict):
            self.refuse(f"'weights'{of} must be an object, not {brief(weights)}")
        self.known(about, SCHEME, of)
        self.known(weights, WEIGHTS | NOTES, of)

        def choice(key, allowed, default=None):
            return self.choice(key, allowed, default, weights, of)

        choice("type", ("int",))
        self.absent("block_structure", weights)
        self.absent("dynamic", weights)
        strategy = choice("strategy", ("group", "channel", "tensor"), self.strategy(weights))
        size = self.size("group_size", -1 if strategy != "group" else None, weights, of)
        layout = self.choice(
            "format", FORMATS, None if layout not in FORMATS else layout, about, of
        )
        return Scheme(
            packed=layout == PACKED,
            bits=choice("num_bits", tuple(range(2, 9)), 8),
            symmetric=choice("symmetric", (True, False), True),
            group_size={"group": size, "channel": -1, "tensor": 0}[strategy],
        )

    def strategy(self, weights):
        """The library's default."""
        size = weights.get("group_size")
        return "tensor" if size is None else "channel" if size == -1 else "group"

    def known(self, about, keys, of):
        """Refuse keys that are none of these."""
        for key in about:
            if key not in keys:
                self.refuse(f"{brief(key)}{of} is not known, and may change the weights")

    def packed(self, module, shape):
        fitting = [scheme for scheme in self.schemes if self.fits(scheme, module, shape)]
        return self.of_scheme((fitting or self.schemes)[0], module, shape)

    def expected(self, scheme, module, shape):
        """Names and shapes of the tensors that a scheme has: of codes, and of scales."""
        rows, depth = shape
        columns = scheme.group_size and group_count(self, "group_size", scheme.group_size, depth)
        codes = (f"{module}.weight", shape)
        if scheme.packed:
            codes = f"{module}.weight_packed", (rows, -(-depth * scheme.bits // 32))
        return codes, (f"{module}.weight_scale", (rows, columns) if columns else (1,))

    def fits(self, scheme, module, shape):
        """Whether a module's tensors can be of a scheme."""
        zeros = f"{module}.weight_zero_point" in self.folder.tensors
        return scheme.symmetric != zeros and all(
            name in self.folder.tensors and self.folder.tensors[name].shape == its
            for name, its in self.expected(scheme, module, shape)
        )

    def of_scheme(self, scheme, module, shape):
        """The :class:`Matrix` of a module that has a scheme."""
        (rows, depth), bits = shape, scheme.bits
        codes, scale = self.expected(scheme, module, shape)
        weight = self.find(*codes, ["I32" if scheme.packed else "I8"])
        scales = self.find(*scale)
        groups = scales.shape[1] if scheme.group_size else 1
        tensors = [weight, scales, *self.unused(module)]
        if scheme.packed:
            tensors.append(self.check_shape(module, shape))
        zeros = index = None
        name = f"{module}.weight_zero_point"
        if name in self.folder.tensors or not scheme.symmetric:
            zeros = self.zeros_tensor(scheme, name, scales.shape)
            tensors.append(zeros)
        if f"{module}.weight_g_idx" in self.folder.tensors:
            tensors.append(self.find(f"{module}.weight_g_idx", (depth,), ["I32"]))
            index = groups_by_column(tensors[-1], groups, depth)

        def decode():
            return affine(
                bits,
                self.codes(weight, bits, depth),
                self.zero_points(zeros, bits, rows, groups),
                np.broadcast_to(scales.floats().reshape(-1, groups), (rows, groups)),
                index,
            )

        return Matrix(
            name=f"{module}.weight",
            source=scheme.source,
            shape=shape,
            tensors=tensors,
            format=format_of(bits, index),
            decode=decode,
        )

    def unused(self, module):
        """Tensors of a module that are about its activations."""
        names = [f"{module}.{name}" for name in UNUSED]
        return [self.folder.tensors[name] for name in names if name in self.folder.tensors]

    def check_shape(self, module, shape):
        """The tensor with the shape of a packed matrix, which must agree."""
        tensor = self.find(f"{module}.weight_shape", (2,), ["I64", "I32"])
        said = tensor.values().tolist()
        if said != list(shape):
            raise UserError(
                f"{tensor.path}: tensor {tensor.name!r} must be {list(shape)} by config.json, "
                f"not {said}"
            )
        return tensor

    def zeros_tensor(self, scheme, name, shape):
        """The tensor of zero points: packed, or of the shape of the scales."""
        tensor = self.folder.tensors.get(name)
        if scheme.packed and len(shape) == 2 and (tensor is None or tensor.dtype == "I32"):
            return self.find(name, (-(-shape[0] * scheme.bits // 32), shape[1]), ["I32"])
        return self.find(name, shape, ["I8"])

    def unsigned(self, tensor, values, bits):
        """Signed codes of `bits` bits plus 2**(bits - 1), uint8."""
        half = 1 << bits - 1
        if values.min() < -half or values.max() >= half:
            raise UserError(
                f"{tensor.path}: tensor {tensor.name!r} must have integers from {-half} to "
                f"{half - 1}, of {bits} bits, not {values.min()} to {values.max()}"
            )
        return values.view(np.uint8) + np.uint8(half)  # modulo 256

    def codes(self, tensor, bits, depth):
        """Codes plus 2**(bits - 1), uint8 (rows, K)."""
        values = tensor.values()
        if tensor.dtype == "I32":
            return unpack(values, bits, depth)
        return self.unsigned(tensor, values, bits)

    def zero_points(self, tensor, bits, rows, groups):
        """Zero points plus 2**(bits - 1), int16 (rows, groups)."""
        if tensor is None:
            return np.full((rows, groups), 1 << bits - 1, np.int16)
        values = tensor.values()
        if tensor.dtype == "I32":
            return unpack(values.T, bits, rows).T.astype(np.int16)
        values = self.unsigned(tensor, values, bits).astype(np.int16)
        return np.broadcast_to(values.reshape(-1, groups), (rows, groups))
