"""Models in files of every type, and of mixtures, compile and run on the functional machine."""

import re
from dataclasses import replace

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from host.image.image import Image
from mapper.compile import compile_model
from mapper.read.gguf_model import read
from mapper.read.gguf_types import TYPES
from rtl.spec.config import CORES, GROUP, UNIT_BYTES, get
from rtl.spec.descriptor import matrix_units
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from sim.functional import ModelDevice
from sw_ref.float32 import Float32

from .. import synthetic
from ..gguf_blocks import dequantize
from .test_gguf_model import undo


CONFIG = replace(get("small-lut"), formats=CORES["lut"])
IDS = [5, 3, 200, 7]
# What llama-quantize makes of a small Llama as Q4_K_M: more bits for v and down in some layers,
# and for an embedding that is the head, too.
Q4_K_M = {
    "token_embd.weight": Type.Q6_K,
    "blk.0.attn_v.weight": Type.Q6_K,
    "blk.0.ffn_down.weight": Type.Q6_K,
}


def run(path):
    """Compile a file, and compare its logits with float32 ones of the weights as they are read.

    Returns the report, and the relative RMS error.
    """
    model = read(path)
    image = compile_model(model, CONFIG, 32)
    device = ModelDevice(CONFIG)
    device.load(image)
    found = []
    for position, token in enumerate(IDS):
        device.step([token], position, True)
        found.append(device.logits[0].copy())
    (expected,) = Float32(model)([IDS])
    error = np.square(np.array(found) - expected).sum() / np.square(expected).sum()
    return image.report, float(np.sqrt(error))


def as_the_library(path):
    """Compare all matrices with what the library makes of the file: the same, or rounded to bytes
    of groups."""
    tensors = {t.name: t for t in gguf.GGUFReader(path).tensors}
    model = read(path)
    for n, layer in enumerate(model.layers):
        assert model.layers.formats(n) == {k: its.format for k, its in layer.linears.items()}
    for linear in (model.embedding, *(x for n in model.layers for x in n.linears.values())):
        tensor = tensors[linear.name]
        assert linear.source == tensor.tensor_type.name
        expected = undo(linear.name, dequantize(tensor.data, tensor.tensor_type))
        if linear.rounding is None:
            np.testing.assert_array_equal(linear.float32(), expected)
        else:
            assert linear.format == WeightFormat.S8 and linear.rounding < 0.02
            off = np.abs(linear.float32() - expected).reshape(-1, 32).max(1)
            assert (off <= np.abs(expected).reshape(-1, 32).max(1) / 250).all()


@pytest.mark.seconds(1)
@pytest.mark.parametrize("its", TYPES.values(), ids=lambda its: its.name)
def test_runs(tmp_path, its):
    """A model of one type, its embedding included."""
    sizes = {} if its.elements <= 64 else synthetic.WIDE
    path = synthetic.write(tmp_path / "m.gguf", kind=Type(its.number), sizes=sizes)
    as_the_library(path)
    report, error = run(path)
    formats = {op["operation"]: op["format"] for op in report["operations"]}
    layers = read(path).layers[0].linears
    own = layers["down"].format
    assert formats["down"] == own.name
    assert formats["head"] == (own.name if FORMATS[own].embeds else "S8")
    assert error < 0.1
    said = {t["name"] for t in report["tensors"] if "rounding" in t}
    if layers["down"].rounding is None:
        assert said <= {"token_embd.weight"}
    else:
        assert len(said) == len(report["tensors"]) == 7 * synthetic.LAYERS + 1


@pytest.mark.seconds(1)
@pytest.mark.parametrize("down", [Type.Q6_K, Type.Q5_K, Type.Q4_K])
def test_mixture(tmp_path, down):
    """As Q4_K_M: every tensor keeps its type's codes, in each layer."""
    kinds = Q4_K_M | {"blk.0.ffn_down.weight": down}
    path = synthetic.write(tmp_path / "m.gguf", kind=Type.Q4_K, kinds=kinds, sizes=synthetic.WIDE)
    as_the_library(path)
    report, error = run(path)
    assert error < 0.1
    becomes = {"Q4_K": "U4", "Q5_K": "U5", "Q6_K": "S6"}
    tensors = {t["name"]: t for t in report["tensors"]}
    assert len(tensors) == len(report["tensors"]) == 7 * synthetic.LAYERS + 1
    for name, its in tensors.items():
        assert its["type"] == kinds.get(name, Type.Q4_K).name
        assert its["format"] == becomes[its["type"]] and "rounding" not in its
        assert its["dram_bytes"] <= 1.04 * its["file_bytes"] and its["error"] < 0.005
    assert report["file_bytes"] == sum(t.n_bytes for t in gguf.GGUFReader(path).tensors) - 4 * sum(
        t.n_elements for t in gguf.GGUFReader(path).tensors if t.tensor_type == Type.F32
    )


def test_as_large_as_the_file():
    """The stream has at most 1.03 times the bytes of a file's tensor, from 4 bits a weight on."""
    rows = 1152
    for its in TYPES.values():
        if 8 * its.size / its.elements < 4 or its.name in ("F32", "F16", "BF16"):
            continue
        for groups in (24, 64, 128) if its.elements == 256 else (18, 48, 128):
            blocks = np.zeros((2, groups * GROUP // its.elements, its.size), np.uint8)
            fmt = its.format(blocks)
            for beat_bytes in 16, 32, 64:
                units = matrix_units(fmt, rows, groups, beat_bytes)
                file_bytes = rows * blocks[0].size
                assert units * UNIT_BYTES <= 1.03 * file_bytes, (its.name, groups, beat_bytes)


@pytest.mark.parametrize("kind", [Type.NVFP4, Type.Q4_1, Type.TQ1_0])
def test_factors(tmp_path, kind):
    """NVFP4 has a number beside each matrix, that it is multiplied with."""
    beside = {
        "blk.1.ffn_down.scale": np.float32([0.7]),
        "blk.1.ffn_down.input_scale": np.float32([0.01]),
    }
    plain, scaled = (
        read(synthetic.write(tmp_path / name, kind=kind, sizes=synthetic.WIDE, tensors=more))
        for name, more in (("plain.gguf", {}), ("scaled.gguf", beside))
    )
    for n in range(2):
        for part, linear in plain.layers[n].linears.items():
            factor = np.float32(0.7 if (n, part) == (1, "down") else 1)
            expected, found = linear.float32() * factor, scaled.layers[n].linears[part].float32()
            step = 1e-7 if linear.rounding is None else np.abs(expected).max() / 100
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=step)


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("blk.0.ffn_up.scale", [1, 2], "'blk.0.ffn_up.scale' must have the shape [1]"),
        ("blk.0.ffn_up.scale", [np.nan], "'blk.0.ffn_up.scale' must be finite"),
        ("blk.0.ffn_up.scale", [1e38], "'blk.0.ffn_up.scale' must be finite, with magnitudes"),
        ("token_embd.scale", [1], "'token_embd.scale' has no place"),
        ("blk.0.attn_norm.scale", [1], "'blk.0.attn_norm.scale' has no place"),
    ],
)
def test_factors_that_are_refused(tmp_path, name, values, message):
    path = synthetic.write(tmp_path / "m.gguf", tensors={name: np.float32(values)})
    with pytest.raises(UserError, match=re.escape(message)):
        read(path).layers[0].linears["up"].take(slice(0, 1))


def test_image_keeps_what_was_rounded(tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", kind=Type.F16)
    image = compile_model(read(path), CONFIG, 32)
    image.save(tmp_path / "m.safetensors")
    back = Image.load(tmp_path / "m.safetensors").report["tensors"]
    assert back == image.report["tensors"] and back[0]["type"] == "F16"
    assert back[0]["reason"] == "the machine has no codes for F16"
