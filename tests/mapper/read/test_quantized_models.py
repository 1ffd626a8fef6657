"""Whole models in every layout: they compile, run, and have the logits of the same codes in a
GGUF file, or in a folder of the machine's own integers."""

import json
from dataclasses import replace
from functools import cache

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from safetensors.numpy import load_file, save_file

from host.errors import UserError
from mapper.compile import compile_model
from mapper.read.find import load
from mapper.read.row_order import half_split
from mapper.write import content, gguf as writer
from rtl.spec.config import CORES, get
from sim.functional import ModelDevice
from sw_ref.float32 import Float32

from .. import synthetic
from . import hf_files
from .quantized import case_of, random_parts, weights_of


CONFIG = replace(get("small-lut"), formats=CORES["lut"])
IDS = [5, 3, 200, 7]
FUSED = {
    "self_attn.qkv_proj": [f"self_attn.{name}_proj" for name in "qkv"],
    "mlp.gate_up_proj": ["mlp.gate_proj", "mlp.up_proj"],
}


def rounded(report):
    """Names of the tensors whose weights were rounded."""
    return [its["name"] for its in report["tensors"] if "rounding" in its]


def run(path):
    """Logits of a model on the functional machine, and its image's report."""
    image, device, found = compile_model(load(path), CONFIG, 32), ModelDevice(CONFIG), []
    device.load(image)
    for position, token in enumerate(IDS):
        device.step([token], position, True)
        found.append(device.logits[0].copy())
    return np.array(found), image.report


def codes_of(kind, raw):
    """Unsigned codes, zero points and scales of GGUF's blocks, (rows, bytes)."""
    size = {Type.Q4_0: 18, Type.Q8_0: 34, Type.MXFP4: 17}[kind]
    blocks = raw.reshape(len(raw), -1, size)
    if kind == Type.MXFP4:
        scales = np.exp2(blocks[..., 0].astype(np.float32) - 127)
    else:
        scales = blocks[..., :2].copy().view("<f2")[..., 0].astype(np.float32)
    if kind == Type.Q8_0:
        codes = (blocks[..., 2:].copy().view(np.int8).astype(np.int16) + 128).astype(np.uint8)
    else:
        nibbles = blocks[..., size - 16 :]
        codes = np.concatenate([nibbles & 15, nibbles >> 4], -1)
    zeros = np.full(scales.shape, 128 if kind == Type.Q8_0 else 8, np.int16)
    return codes.reshape(len(raw), -1), zeros, scales


@cache
def library_blocks(kind):
    """The blocks that the library `gguf` makes of the synthetic weights, by Hugging Face's names,
    Q and K in its order."""
    return {
        name.removesuffix(".weight"): gguf.quantize(values, kind)
        for name, values in hf_files.tensors().items()
        if values.ndim == 2
    }


SAME_AS = [
    (case_of("gptq 4 32"), Type.Q4_0),
    (case_of("gptq 8 32"), Type.Q8_0),
    (case_of("awq 32"), Type.Q4_0),
    (case_of("pack-quantized 4 32 True"), Type.Q4_0),
    (case_of("pack-quantized 4 32 False loose"), Type.Q4_0),
    (case_of("int-quantized 8 32"), Type.Q8_0),
    (case_of("mxfp4"), Type.MXFP4),
]


@pytest.mark.seconds(2)
@pytest.mark.parametrize("case, kind", SAME_AS, ids=lambda its: its.name)
def test_same_logits_as_the_gguf(tmp_path, case, kind):
    blocks = library_blocks(kind)
    kinds = {"token_embd.weight": Type.F32}
    theirs = synthetic.write(tmp_path / "m.gguf", kind=kind, kinds=kinds)
    folder = hf_files.write_quantized(
        tmp_path / "m", case, lambda module, _: codes_of(kind, blocks[module])
    )
    (logits, report), (expected, _) = run(folder), run(theirs)
    np.testing.assert_array_equal(logits, expected)
    formats = {op["operation"]: op["format"] for op in report["operations"]}
    assert formats["down"] == formats["q"] == case.becomes
    assert rounded(report) == ["model.embed_tokens.weight"]


def test_same_as_integers(tmp_path):
    """BitNet's weights are the machine's own."""
    case, rng = case_of("bitnet auto"), np.random.default_rng(6)
    made = {}

    def parts(module, shape):
        codes = rng.integers(0, 3, shape, np.uint8)
        scales = np.full((len(codes), 1), rng.uniform(0.01, 0.1), np.float32)
        made[f"{module}.weight"] = codes.astype(np.int8) - 1
        made[f"{module}.weight_scale"] = scales[:, 0]
        return codes, np.ones(scales.shape, np.int16), scales

    folder = hf_files.write_quantized(tmp_path / "bitnet", case, parts)
    model = load(folder)
    for n, layer in enumerate(model.layers):
        for linear in layer.linears.values():
            weights = made[linear.name] * made[f"{linear.name}_scale"][:, None]
            np.testing.assert_array_equal(linear.float32(), weights)
    native = hf_files.WeightFormat.TERNARY
    changes = {name: lambda _, values=values: values for name, values in made.items()}
    other = hf_files.write_native(tmp_path / "native", native, changes=changes)
    for ours, theirs in zip(model.layers, load(other).layers):
        for name, linear in ours.linears.items():
            assert linear.format == theirs.linears[name].format == native
            np.testing.assert_array_equal(linear.codes, theirs.linears[name].codes)
            np.testing.assert_array_equal(linear.d, theirs.linears[name].d)


REST = [
    "gptq 2 32",
    "gptq 3 32",
    "gptq 4 64 None shuffled",
    "int-quantized 8 0 True",
    "pack-quantized 4 0",
]


@pytest.mark.seconds(2)
@pytest.mark.parametrize("name", REST)
def test_runs(tmp_path, name):
    """Layouts that no other file has: as near to float32 as all are."""
    case = case_of(name)

    def parts(module, shape):
        codes, zeros, scales = random_parts(case, shape)
        zeros[:] = 1 << case.bits - 1
        return codes, zeros, np.full_like(scales, 0.12 / 2**case.bits)

    folder = hf_files.write_quantized(tmp_path / "m", case, parts)
    logits, report = run(folder)
    (expected,) = Float32(load(folder))([IDS])
    assert np.square(logits - expected).sum() / np.square(expected).sum() < 0.1**2
    # The embedding; and in both layers o and down, whose columns are of two groups.
    assert len(rounded(report)) == (5 if "shuffled" in name else 1)


@pytest.mark.seconds(1)
def test_scales_of_rows_beside_those_of_groups(tmp_path):
    """V, which is rounded, and K, which is not, are one product."""
    case = case_of("int-quantized 8 0 False")

    def parts(module, shape):
        codes, zeros, scales = random_parts(case, shape)
        zeros[:] = 250 if "v_proj" in module else 128
        return codes, zeros, np.full_like(scales, 0.0005)

    folder = hf_files.write_quantized(tmp_path / "m", case, parts)
    linears = load(folder).layers[0].linears
    assert linears["k"].by_row and not linears["v"].by_row
    logits, _ = run(folder)
    (expected,) = Float32(load(folder))([IDS])
    assert np.square(logits - expected).sum() / np.square(expected).sum() < 0.1**2


@pytest.mark.parametrize(
    "name", ["gptq 4 32", "awq 32", "pack-quantized 4 32", "int-quantized 8 0"]
)
def test_fused(tmp_path, name):
    """Rows of fused modules are those of the matrices, with any layout."""
    case = case_of(name)
    parts = {}

    def some(module, shape):
        parts[module] = random_parts(case, shape, seed=len(parts))
        return parts[module]

    model = load(hf_files.write_quantized(tmp_path / "m", case, some, fused=FUSED))
    for n, layer in enumerate(model.layers):
        assert model.layers.formats(n) == {k: its.format for k, its in layer.linears.items()}
        for name, names in hf_files.FAMILIES["llama"].linears.items():
            expected = weights_of(case, *parts[f"model.layers.{n}.{names.hf}"])
            np.testing.assert_array_equal(layer.linears[name].float32(), expected)


@pytest.mark.seconds(1)
def test_fused_floats(tmp_path):
    """The same image as without, but for its model's digest."""
    plain, fused = hf_files.tensors(), {}
    for n in range(2):
        for whole, modules in FUSED.items():
            names = [f"model.layers.{n}.{module}.weight" for module in modules]
            fused[f"model.layers.{n}.{whole}.weight"] = np.concatenate([plain[n] for n in names])
    without = [
        name for name in plain if any(f"{m}." in name for its in FUSED.values() for m in its)
    ]
    one = hf_files.write(tmp_path / "one")
    other = hf_files.write(tmp_path / "other", without=without, more=fused)
    images = [compile_model(load(folder), CONFIG, 32) for folder in (one, other)]
    assert bytes(images[0].dram()) == bytes(images[1].dram())
    name = "model.layers.1.self_attn.qkv_proj.weight"
    fused[name] = fused[name][:-1]
    with pytest.raises(UserError, match="qkv_proj.weight' must have the shape"):
        load(hf_files.write(tmp_path / "bad", without=without, more=fused))


def test_fused_and_not(tmp_path):
    """Both at once is no model."""
    more = {"model.layers.0.mlp.gate_up_proj.weight": np.ones((256, 64), np.float32)}
    with pytest.raises(UserError, match="gate_proj.weight' has no place in a Llama of 2 layers"):
        load(hf_files.write(tmp_path / "m", more=more))


def test_sharded(tmp_path):
    """A module's tensors may lie in several files."""
    case = case_of("gptq 4 32")
    folder = hf_files.write_quantized(tmp_path / "m", case, lambda _, s: random_parts(case, s))
    whole = load(folder)
    expected = [x.float32() for layer in whole.layers for x in layer.linears.values()]
    file = folder / "model.safetensors"
    tensors, weight_map = load_file(file), {}
    file.unlink()
    for n in range(3):
        shard = f"model-{n + 1:05}-of-00003.safetensors"
        part = {name: tensors[name] for name in sorted(tensors)[n::3]}
        weight_map |= dict.fromkeys(part, shard)
        save_file(part, folder / shard)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    found = [x.float32() for layer in load(folder).layers for x in layer.linears.values()]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    content = (folder / shard).read_bytes()
    (folder / shard).write_bytes(content[:-1])
    with pytest.raises(UserError, match="00003.safetensors: the safetensors file is damaged"):
        load(folder)
    (folder / shard).unlink()
    with pytest.raises(UserError, match="it names the file 'model-00003-of-00003.safetensors', wh"):
        load(folder)


def test_quantized_head(tmp_path):
    """GPTQ with `lm_head`: kept as it is, and S8 when it is compiled."""
    case = case_of("gptq 4 32")
    folder = hf_files.write_quantized(tmp_path / "m", case, lambda _, s: random_parts(case, s))
    parts = random_parts(case, (288, 64))
    tensors = load_file(folder / "model.safetensors") | case.packed("lm_head", *parts)
    made = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    save_file(made, folder / "model.safetensors")
    with pytest.raises(UserError, match="'tie_word_embeddings' must be false, or"):
        load(folder)
    config = json.loads((folder / "config.json").read_text()) | {"tie_word_embeddings": False}
    (folder / "config.json").write_text(json.dumps(config))
    np.testing.assert_array_equal(load(folder).head.float32(), weights_of(case, *parts))


@pytest.mark.parametrize(
    "name, fused", [("gptq 4 64 None shuffled", {}), ("awq 32", FUSED), ("bitnet", {})]
)
def test_to_a_gguf(tmp_path, name, fused):
    """What `headrace quantize` writes are the folder's weights, also where compiling rounds."""
    case, parts = case_of(name), {}

    def some(module, shape):
        parts[module] = random_parts(case, shape, seed=len(parts))
        return parts[module]

    folder = hf_files.write_quantized(tmp_path / "m", case, some, fused=fused)
    made = content.of_folder(folder, load(folder))
    writer.write(tmp_path / "out.gguf", made, *writer.chosen("F32"))
    tensors = {t.name: t.data for t in gguf.GGUFReader(tmp_path / "out.gguf").tensors}
    for n in range(2):
        for part, names in hf_files.FAMILIES["llama"].linears.items():
            expected = weights_of(case, *parts[f"model.layers.{n}.{names.hf}"])
            found = tensors[f"blk.{n}.{names.gguf}.weight"]
            if part in ("q", "k"):
                found = found[half_split(len(found) // 64, 64)]
            np.testing.assert_array_equal(found, expected)
