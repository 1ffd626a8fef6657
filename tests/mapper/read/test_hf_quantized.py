"""Every layout of quantized folders, compared with packers of its own specification, and with what
the quantizers' libraries make of folders that they have written (`tests/data/quantized/make.py`).
"""

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from host.errors import UserError
from mapper.read.hf_folder import Folder
from mapper.read.hf_quantized import LAYOUTS, layout_of
from mapper.read.hf_quantized.codes import unpack
from mapper.read.hf_quantized.layout import Layout, register

from .packers import bitstream
from .quantized import (
    CASES,
    SHAPE,
    case_of,
    random_parts,
    read,
    same,
    shape_of,
    write_matrix,
    write_tensors,
)


BY_LIBRARIES = sorted(Path(__file__).parents[2].glob("data/quantized/*/"))
ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@ALL
def test_as_packed(tmp_path, case):
    parts = random_parts(case, shape_of(case))
    same(case, write_matrix(tmp_path / "m", case, parts), parts)


@ALL
def test_a_mistake_is_found(tmp_path, case):
    """Codes in other places: the comparison can fail."""
    codes, *others = random_parts(case, shape_of(case))
    folder = write_matrix(tmp_path / "m", case, (np.roll(codes, 1, 1), *others))
    with pytest.raises(AssertionError):
        same(case, folder, (codes, *others))


@pytest.mark.parametrize("folder", BY_LIBRARIES, ids=lambda folder: folder.name)
def test_as_the_libraries(folder):
    with safe_open(folder / "model.safetensors", "numpy") as file:
        expected = file.get_tensor("expected")
    matrix = read(folder, expected.shape)
    np.testing.assert_array_equal(matrix.weights(), expected)
    rounded = {"gptq_v2-4-order", "gptq_v2-8", "int-quantized-8-zeros"}
    assert (matrix.load().rounding is not None) == (folder.name in rounded)


def test_all_layouts_are_tried():
    assert {case.about["quant_method"] for case in CASES} | {None} == LAYOUTS.keys()
    libraries = {layout_of(Folder(folder)).method for folder in BY_LIBRARIES}
    assert libraries | {None, "headrace"} == LAYOUTS.keys()


def test_columns_in_another_order(tmp_path):
    """Columns of `desc_act` that come in turn keep their codes; an index may be missing then."""
    case = case_of("gptq 4 128")
    parts = random_parts(case, shape_of(case))
    for n, about in enumerate(({}, {"desc_act": False}, {"desc_act": None})):
        without = {"g_idx": None} if n else {}
        folder = write_matrix(tmp_path / str(n), case, parts, about, without)
        same(case, folder, parts)
    folder = write_matrix(tmp_path / "m", case, parts, {"desc_act": True}, {"g_idx": None})
    with pytest.raises(UserError, match="tensor 'module.g_idx' is missing"):
        read(folder, parts[0].shape)


def test_modules_of_other_bits(tmp_path):
    """`dynamic` that leaves modules as floats changes no others."""
    case = case_of("gptq 4 128")
    parts = random_parts(case, shape_of(case))
    about = {"dynamic": {"-:.*down_proj": {}}}
    same(case, write_matrix(tmp_path / "m", case, parts, about), parts)


def test_matrix_that_stayed_float(tmp_path):
    """Modules that a quantizer left alone are rounded, as without it."""
    case = case_of("awq 32")
    weights = np.random.default_rng(1).normal(0, 1, SHAPE).astype(np.float32)
    matrix = read(write_tensors(tmp_path / "m", case.about, {"module.weight": weights}))
    assert matrix.load().rounding > 0 and matrix.format.name == "S8"
    np.testing.assert_array_equal(matrix.weights(), weights)


@pytest.mark.parametrize(
    "name", ["pack-quantized 8 64", "int-quantized 8 0 True", "pack-quantized 4 128"]
)
def test_schemes_are_told_apart(tmp_path, name):
    """Some modules have 4 bits, and others 8, or bytes: tensors say which."""
    case, other = case_of(name), case_of("pack-quantized 4 32 False")
    groups = {
        f"group_{n}": its.about["config_groups"]["group_0"] | {"format": its.about["format"]}
        for n, its in enumerate((other, case))
    }
    parts = random_parts(case, SHAPE)
    about = {"config_groups": groups, "format": "mixed-precision"}
    same(case, write_matrix(tmp_path / "m", case, parts, about), parts)
    parts = random_parts(other, SHAPE)
    same(other, write_matrix(tmp_path / "other", other, parts, about), parts)


@pytest.mark.parametrize(
    "name, more, taken",
    [
        ("gptq 4", {"module.bias": np.zeros(96, np.float16)}, True),
        ("gptq 4", {"module.bias": np.ones(96, np.float16)}, False),
        ("gptq 4", {"module.bias": np.zeros(95, np.float16)}, False),
        ("int-quantized 8 0 True", {"module.input_scale": np.ones(1, np.float32)}, True),
    ],
)
def test_tensors_without_effect(tmp_path, name, more, taken):
    """They are the matrix' own, or are left for the reader of the model to refuse."""
    case = case_of(name)
    parts = random_parts(case, shape_of(case))
    folder = write_tensors(tmp_path / "m", case.about, case.packed("module", *parts) | more)
    same(case, folder, parts)
    names = {tensor.name for tensor in read(folder, shape_of(case)).tensors}
    assert (more.keys() <= names) == taken and len(names) >= 3


@pytest.mark.parametrize("bits", range(1, 9))
def test_unpack(bits):
    values = np.random.default_rng(bits).integers(0, 1 << bits, (5, 77), np.uint8)
    np.testing.assert_array_equal(unpack(bitstream(values, bits), bits, 77), values)


def test_methods_differ():
    with pytest.raises(ValueError, match="Layouts must differ in `method`, 'gptq' is there alread"):

        @register
        class Other(Layout):
            method = "gptq"
