"""What of quantized folders is refused, in one line that names it."""

import json
import re
from random import Random

import numpy as np
import pytest

from host.errors import UserError

from .quantized import (
    CASES,
    SHAPE,
    case_of,
    random_parts,
    read,
    same,
    shape_of,
    write_matrix,
)
from .test_broken_folders import NASTY


ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
SOME = pytest.mark.parametrize(
    "name", ["gptq 4 32", "awq 128", "pack-quantized 4 32", "int-quantized 8 0", "bitnet", "mxfp4"]
)


@ALL
def test_keys_that_are_not_known(tmp_path, case):
    parts = random_parts(case, shape_of(case))
    folder = write_matrix(tmp_path / "m", case, parts, {"rotated": True})
    with pytest.raises(UserError, match="'rotated' of 'quantization_config' is not known, and may"):
        read(folder)


@ALL
def test_broken_tensors(tmp_path, case):
    """A tensor that is missing, of another shape or another type, is named in one line."""
    parts = random_parts(case, shape_of(case))
    for name in case.packed("module", *parts):
        if name.endswith(("g_idx", "bias")):
            continue  # which may be missing
        for n, change in enumerate(
            (None, lambda v: v[:-1], lambda v: v[None], lambda v: np.repeat(v, 2, -1))
        ):
            changes = {name.removeprefix("module."): change}
            folder = write_matrix(tmp_path / f"{name}{n}", case, parts, changes=changes)
            with pytest.raises(UserError) as info:
                read(folder, parts[0].shape).load()
            message = str(info.value).removeprefix(str(folder))
            assert "\n" not in message and len(message) < 400
            assert name in message or change is None and "module.weight" in message


@ALL
def test_other_types(tmp_path, case):
    parts = random_parts(case, shape_of(case))
    for name in case.packed("module", *parts):
        changes = {name.removeprefix("module."): lambda v: v.astype(np.int8).astype(np.uint16)}
        folder = write_matrix(tmp_path / name, case, parts, changes=changes)
        with pytest.raises(UserError, match=f"{name}' must be "):
            read(folder, parts[0].shape).load()


@ALL
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scales_that_are_not_finite(tmp_path, case, value):
    parts = random_parts(case, shape_of(case))

    def broken(scales):
        scales = scales.copy()
        scales.flat[-1] = 255 if scales.dtype == np.uint8 else value
        return scales

    names = ("scales", "weight_scale", "weight_scales")
    folder = write_matrix(tmp_path / "m", case, parts, changes=dict.fromkeys(names, broken))
    with pytest.raises(UserError, match=r"tensor 'module.*scales?' must be finite"):
        read(folder, parts[0].shape).load()


def weights_about(**changes):
    """A change of a scheme's weights."""
    scheme = case_of("pack-quantized 4 32").about["config_groups"]["group_0"]
    return {"config_groups": {"group_0": scheme | {"weights": scheme["weights"] | changes}}}


@pytest.mark.parametrize(
    "name, about, message",
    [
        ("gptq 4", {"bits": 5}, "'bits' must be one of 2, 3, 4, 8, not 5"),
        ("gptq 4", {"bits": None}, "'bits' must be one of 2, 3, 4, 8, not None"),
        ("gptq 4", {"bits": True}, "'bits' must be one of 2, 3, 4, 8, not True"),
        ("gptq 4", {"bits": [4]}, "'bits' must be one of 2, 3, 4, 8, not [4]"),
        (
            "gptq 4",
            {"group_size": 96},
            "'group_size' must divide the 256 columns of a matrix, not 96",
        ),
        ("gptq 4", {"group_size": 16}, "'group_size' must be -1 or a multiple of 32, not 16"),
        ("gptq 4", {"checkpoint_format": "marlin"}, "'checkpoint_format' must be one of 'gptq', "),
        ("gptq 4", {"format": "gptq_v2"}, "'checkpoint_format' and 'format' must be the same"),
        ("gptq 4", {"pack_dtype": "int16"}, "'pack_dtype' must be one of 'int32', not 'int16'"),
        ("gptq 4", {"dynamic": {"-:x": {}, "+:y": {}}}, "'dynamic' must only have modules that s"),
        ("gptq 4", {"dynamic": 2}, "'dynamic' must be an object, not 2"),
        ("gptq 4", {"adapter": {"rank": 4}}, "'adapter' must be null"),
        ("awq 32", {"version": "gemv"}, "'version' must be one of 'gemm', 'GEMM', not 'gemv'"),
        ("awq 32", {"bits": 8}, "'bits' must be one of 4, not 8"),
        ("bitnet", {"quantization_mode": "online"}, "'quantization_mode' must be one of 'offline'"),
        ("bitnet", {"use_rms_norm": True}, "'use_rms_norm' must be null, not True"),
        ("bitnet", {"linear_class": "x"}, "'linear_class' must be one of 'bitlinear', 'autobitli"),
        ("pack", {"format": "float-quantized"}, "'format' must be one of 'pack-quantized', 'int-q"),
        (
            "pack",
            {"config_groups": {}},
            "'config_groups' must have a scheme with 'weights', it has",
        ),
        ("pack", {"config_groups": [1]}, "'config_groups' must be an object, not [1]"),
        ("pack", {"config_groups": {"a": ["x"]}}, "'weights' of 'a' must be an object, not ['x']"),
        (
            "pack",
            {"config_groups": {"a": {"weights": None}}},
            "'config_groups' must have a scheme with 'weights', it has none",
        ),
        ("pack", {"kv_cache_scheme": {"num_bits": 8}}, "'kv_cache_scheme' must be null, not {"),
        ("pack", {"sparsity_config": {"format": "sparse-24"}}, "'sparsity_config' must be null"),
        (
            "pack",
            {"transform_config": {"config_groups": {"R1": {}}}},
            "'transform_config' must be ",
        ),
        ("pack", weights_about(type="float"), "'type' of 'group_0' must be one of 'int', not 'flo"),
        ("pack", weights_about(num_bits=16), "'num_bits' of 'group_0' must be one of 2, 3, 4, 5, "),
        ("pack", weights_about(num_bits=8), "weight_packed' must have the shape [72, 64]"),
        ("pack", weights_about(strategy="block"), "'strategy' of 'group_0' must be one of 'group'"),
        ("pack", weights_about(dynamic=True), "'dynamic' must be null, not True"),
        ("pack", weights_about(group_size=None), "'group_size' of 'group_0' must be -1 or a mu"),
        ("pack", weights_about(hadamard=1), "'hadamard' of 'group_0' is not known, and may change"),
        (
            "mxfp4",
            {"quant_method": "nvfp4"},
            "'quant_method' must be one of awq, bitnet, compresse",
        ),
    ],
)
def test_configurations_refused(tmp_path, name, about, message):
    case = case_of(name)
    parts = random_parts(case, shape_of(case))
    with pytest.raises(UserError, match=re.escape(message)) as info:
        read(write_matrix(tmp_path / "m", case, parts, about), parts[0].shape).load()
    assert "\n" not in str(info.value)


def objects(about, path=()):
    """Paths of an object's entries, and of those of objects within it."""
    for key, value in about.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from objects(value, (*path, key))


@SOME
def test_nasty_configurations(tmp_path, name):
    """Any value of any entry is refused in one line, or changes nothing."""
    case = case_of(name)
    parts = random_parts(case, shape_of(case))
    folder, text = write_matrix(tmp_path / "m", case, parts), json.dumps(case.about)
    refused = 0
    for path in objects(case.about):
        for value in NASTY:
            about = json.loads(text)
            at = about
            for key in path[:-1]:
                at = at[key]
            at[path[-1]] = "here"
            config = json.dumps({"quantization_config": about}).replace('"here"', value)
            (folder / "config.json").write_text(config)
            try:
                same(case, folder, parts)
            except UserError as error:
                refused += 1
                assert len(str(error)) < 400 + len(str(folder)) and "\n" not in str(error)
    assert refused > 5 * len(case.about)


def to(value, at=-1):
    """A change of one element."""

    def change(values):
        values = values.copy()
        values.flat[at] = value
        return values

    return change


@pytest.mark.parametrize(
    "name, changes, message",
    [
        ("gptq 4", {"qzeros": to(-1)}, "qzeros' has a zero point that 'gptq' has no code for"),
        ("gptq 4", {"g_idx": to(8)}, "g_idx' must have groups below 8, not 8; get the file again"),
        ("gptq 4", {"g_idx": to(-1)}, "g_idx' must have groups below 8, not -1"),
        ("gptq 4", {"g_idx": lambda v: v[:-1]}, "g_idx' must have the shape [256] by config.json"),
        ("bitnet", {"weight": to(192)}, "weight' must have fields from 0 to 2, not 3"),
        ("bitnet", {"weight_scale": to(0)}, "tensor 'module.weight' must be finite"),
        ("pack", {"weight_shape": to(255)}, "weight_shape' must be [72, 256] by config.json, not "),
        (
            "int-quantized 4",
            {"weight": to(8)},
            "weight' must have integers from -8 to 7, of 4 bits, not -8 to 8",
        ),
        ("int-quantized 4", {"weight_zero_point": to(-9)}, "must have integers from -8 to 7, of 4"),
        ("awq 32", {"scales": lambda v: v.astype(np.float32) * 1e37}, "'module.scales' must be fi"),
        ("pack", {"weight_scale": lambda v: v * 1e36}, "tensor 'module.weight' must be finite, wi"),
    ],
)
def test_numbers_refused(tmp_path, name, changes, message):
    case = case_of(name)
    parts = random_parts(case, shape_of(case))
    with pytest.raises(UserError, match=re.escape(message)):
        read(write_matrix(tmp_path / "m", case, parts, changes=changes), parts[0].shape).load()


@pytest.mark.parametrize("name", ["awq 32", "bitnet"])
def test_rows_that_no_word_holds(tmp_path, name):
    case = case_of(name)
    folder = write_matrix(tmp_path / "m", case, random_parts(case, SHAPE))
    with pytest.raises(
        UserError, match="rows of 'module' must be a multiple of [48] in .*, not 70"
    ):
        read(folder, (70, 256))


@SOME
def test_damaged_anywhere(tmp_path, name):
    """Bytes that are others, or missing: refused in one line, or codes that are others."""
    case, rng, refused = case_of(name), Random(5), 0
    parts = random_parts(case, shape_of(case))
    folder = write_matrix(tmp_path / "m", case, parts)
    for n in range(150):
        file = folder / ("config.json", "m.safetensors")[n % 2]
        good = file.read_bytes()
        broken = bytearray(good)
        if n % 5 == 0:
            del broken[rng.randrange(len(broken)) :]
        else:
            at = rng.randrange(min(len(broken), 1000))
            broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
        file.write_bytes(broken)
        try:
            assert np.isfinite(read(folder, parts[0].shape).load().float32()).all()
            assert n % 5, f"{len(broken)} of {len(good)} bytes were taken"
        except UserError as error:
            refused += 1
            assert len(str(error)) < 400 + len(str(folder)) and "\n" not in str(error)
        file.write_bytes(good)
    assert refused > 50
