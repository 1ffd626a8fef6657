"""Quantized folders of every layout and their options, to read: see :mod:`.packers`."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from safetensors.numpy import save_file

from mapper.read.hf_folder import Folder
from mapper.read.hf_quantized import layout_of

from .packers import (
    awq,
    bitnet,
    gptq,
    group_index,
    headrace,
    int_quantized,
    mxfp4,
    pack_quantized,
)


__all__ = [
    "CASES",
    "Case",
    "SHAPE",
    "case_of",
    "random_parts",
    "read",
    "same",
    "shape_of",
    "weights_of",
    "write_matrix",
    "write_tensors",
]


SHAPE = 72, 256  # 72 rows: packed zero points of 3 bits end within a word
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A layout with options.

    Attributes
    ----------
    about : :class:`dict`
        The `quantization_config`.
    pack : function
        One of the packers, and `options` for it.
    bits, group : :class:`int`
        Of a code; weights of a group, 0 for a row, -1 for the whole matrix.
    zero : :class:`float` or None
        The only zero point, if there is but one.
    becomes : :class:`str`
        A format; with ``~``, after rounding.
    """

    name: str
    about: dict
    pack: Callable
    bits: int
    becomes: str
    group: int = 32
    zero: float | None = None
    options: dict = field(default_factory=dict)

    def packed(self, module, codes, zeros, scales):
        """Tensors of a matrix."""
        return self.pack(module, codes, zeros, scales, **self.options)


def gptq_case(bits, group, becomes, zero=None, form="gptq", **options):
    about = {
        "quant_method": "gptq",
        "bits": bits,
        "group_size": group or -1,
        "sym": zero is not None,
    }
    about |= {"desc_act": "shuffled" in options, "checkpoint_format": form, "damp_percent": 0.1}
    options |= {"bits": bits, "less": form == "gptq"}
    name = f"{form} {bits} {group} {zero} {' '.join(options)}"
    return Case(
        name=name,
        about=about,
        pack=gptq,
        bits=bits,
        becomes=becomes,
        group=group,
        zero=zero,
        options=options,
    )


def tensors_case(form, bits, group, becomes, symmetric=True, **options):
    strategy = {0: "channel", -1: "tensor"}.get(group, "group")
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": strategy}
    weights |= {"group_size": group if group > 0 else None, "observer": "minmax", "actorder": None}
    inputs = {"num_bits": 8, "type": "int", "strategy": "token", "dynamic": True}
    scheme = {"targets": ["Linear"], "weights": weights, "output_activations": None}
    about = {
        "quant_method": "compressed-tensors",
        "format": form,
        "config_groups": {"group_0": scheme | {"input_activations": inputs}},
        "ignore": ["lm_head", "re:.*embed.*"],
        "quantization_status": "compressed",
        "kv_cache_scheme": None,
        "sparsity_config": {},
        "transform_config": {},
        "version": "0.20.0",
    }
    return Case(
        name=f"{form} {bits} {group} {symmetric} {' '.join(options)}",
        about=about,
        pack=pack_quantized if form == "pack-quantized" else int_quantized,
        bits=bits,
        becomes=becomes,
        group=group,
        zero=1 << bits - 1 if symmetric else None,
        options={"bits": bits, "symmetric": symmetric, **options},
    )


AWQ = {"quant_method": "awq", "bits": 4, "zero_point": True, "version": "gemm"}
BITNET = {"quant_method": "bitnet", "quantization_mode": "offline"}

CASES = [
    *(gptq_case(bits, group, f"U{bits}") for bits in (2, 3, 4) for group in (32, 128, 0)),
    gptq_case(4, 128, "U4", 8),
    gptq_case(4, 64, "U4", form="gptq_v2"),
    gptq_case(8, 32, "S8", 128),
    gptq_case(8, 0, "S8", 128),
    gptq_case(8, 64, "~S8", form="gptq_v2"),
    gptq_case(4, 64, "~S8", shuffled=True),
    *(
        Case(
            name=f"awq {group}",
            about=AWQ | {"group_size": group or -1},
            pack=awq,
            bits=4,
            becomes="U4",
            group=group,
        )
        for group in (32, 64, 128, 0)
    ),
    *(tensors_case("pack-quantized", 4, group, "U4") for group in (32, 64, 128, 0)),
    tensors_case("pack-quantized", 4, -1, "U4", whole=True),
    *(tensors_case("pack-quantized", 4, group, "U4", False) for group in (32, 128, 0)),
    tensors_case("pack-quantized", 4, 32, "U4", False, loose=True),
    tensors_case("pack-quantized", 4, 64, "~S8", False, shuffled=True),
    *(tensors_case("pack-quantized", bits, 64, f"U{bits}") for bits in (2, 3)),
    tensors_case("pack-quantized", 5, 64, "U5", False),
    tensors_case("pack-quantized", 7, 64, "S8", False),
    tensors_case("pack-quantized", 8, 64, "S8"),
    *(tensors_case("int-quantized", 8, group, "S8") for group in (0, 32, 128)),
    tensors_case("int-quantized", 8, -1, "S8", whole=True),
    tensors_case("naive-quantized", 8, 0, "S8"),
    tensors_case("int-quantized", 8, 0, "~S8", False),
    tensors_case("int-quantized", 4, 32, "U4", False),
    *(
        Case(
            name=f"bitnet {kind}",
            about=BITNET | {"linear_class": kind} if kind else BITNET,
            pack=bitnet,
            bits=2,
            becomes="TERNARY",
            group=-1,
            zero=1,
            options={"divides": kind != "autobitlinear"},
        )
        for kind in ("bitlinear", "autobitlinear", "")
    ),
    Case(
        name="mxfp4",
        about={"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
        pack=mxfp4,
        bits=4,
        becomes="FP4",
    ),
    Case(
        name="headrace",
        about={"quant_method": "headrace", "format": "u4"},
        pack=headrace,
        bits=4,
        becomes="U4",
        group=0,
        zero=7.5,
    ),
]


def random_parts(case, shape, seed=1):
    """Codes, zero points and scales of a matrix of a case: all codes, and scales of every size
    that half floats have."""
    rng, (rows, depth) = np.random.default_rng(seed), shape
    groups = depth // case.group if case.group > 0 else 1
    codes = rng.integers(0, 3 if case.pack is bitnet else 1 << case.bits, shape, np.uint8)
    low = 1 if case.options.get("less") else 0  # 0 less 1 has no code
    zeros = rng.integers(low, 1 << case.bits, (rows, groups)).astype(np.int16)
    if case.zero is not None:
        zeros = np.full((rows, groups), case.zero)
        zeros = zeros if case.zero % 1 else zeros.astype(np.int16)
    scales = np.exp2(rng.uniform(-14, 4, (rows, groups))).astype(np.float16).astype(np.float32)
    scales[-1] = 0
    if case.pack is mxfp4:
        scales = np.exp2(rng.integers(-127, 100, (rows, groups)).astype(np.float32))
    if case.group < 0:
        zeros[:], scales[:] = zeros[0, 0], np.exp2(np.float32(seed % 7 - 6))
    return codes, zeros, scales


def weights_of(case, codes, zeros, scales):
    """The weights, float32 (rows, K), each rounded once."""
    index = group_index(codes.shape[1], scales.shape[1], case.options.get("shuffled"))
    if case.pack is mxfp4:
        return (np.array(E2M1)[codes] * scales[:, index]).astype(np.float32)
    exact = scales[:, index].astype(np.float64) * (codes - zeros[:, index].astype(np.float64))
    return exact.astype(np.float32)


def write_tensors(folder, about, tensors):
    """Write a folder of a `quantization_config` and tensors."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"quantization_config": about}))
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "m.safetensors")
    return folder


def write_matrix(folder, case, parts, about={}, changes={}):
    """Write a folder that has one matrix, `module`. `about` overrides its `quantization_config`;
    `changes` are functions of a tensor, or None to leave it out, by what its name ends in."""
    tensors = {}
    for name, values in case.packed("module", *parts).items():
        change = changes.get(name.removeprefix("module."), np.copy)
        if change is not None:
            tensors[name] = change(values)
    return write_tensors(folder, {**case.about, **about}, tensors)


def case_of(start):
    """The first case whose name begins so."""
    return next(case for case in CASES if case.name.startswith(start))


def shape_of(case):
    """A shape for a case. GPTQ's rows are multiples of 32."""
    return (96, 256) if case.pack is gptq else SHAPE


def read(folder, shape=SHAPE):
    """The matrix of a folder."""
    return layout_of(Folder(folder)).matrix("module", shape, 8)


def same(case, folder, parts):
    """Compare a folder's matrix with the weights that were packed: codes are kept, or bytes."""
    matrix, expected = read(folder, parts[0].shape), weights_of(case, *parts)
    linear = matrix.load()
    assert linear.format.name == matrix.format.name == case.becomes.removeprefix("~")
    assert linear.codes.shape == matrix.shape == parts[0].shape and linear.name == "module.weight"
    np.testing.assert_array_equal(matrix.weights(), expected)
    if case.becomes.startswith("~"):
        assert 0 < linear.rounding < 0.01
        off = np.abs(linear.float32() - expected).reshape(-1, 32).max(1)
        assert (off <= np.abs(expected).reshape(-1, 32).max(1) / 250).all()
    else:
        assert linear.rounding is None
        np.testing.assert_array_equal(linear.float32(), expected)
    return linear
