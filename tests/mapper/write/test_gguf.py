"""GGUF files that are written, as our reader and the library read them."""

import sys

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from mapper.read import gguf_model
from mapper.read.find import load
from mapper.read.gguf_container import File
from mapper.read.row_order import half_split
from mapper.rounding import round_s8
from mapper.write import content, gguf as writer
from mapper.write.mixture import FLOATS

from .. import synthetic
from ..gguf_blocks import dequantize
from ..read import hf_files


KINDS = list(writer.KINDS)
HEAD = {kind: kind for kind in FLOATS} | {"Q8_0": "Q8_0", "MXFP4": "Q8_0"}  # others: Q6_K
WIDE_RANGE = ("F32", "BF16", "MXFP4")
# The relative error that each type may have of weights with a normal distribution.
ERRORS = {
    **{"Q2_K": 0.31, "Q3_K": 0.16, "Q4_K": 0.08, "Q5_K": 0.04, "Q6_K": 0.02},
    **{"IQ4_NL": 0.08, "IQ4_XS": 0.08, "NVFP4": 0.1, "Q1_0": 0.61},
}
WEIGHTS = synthetic.weights(**synthetic.WIDE)
ORDER = {"q": half_split(4, 64), "k": half_split(1, 64)}


def write(path, source, kind, head=None):
    """Write a GGUF file again."""
    about = content.of_file(source, gguf_model.read(source))
    return writer.write(path, about, *writer.chosen(kind, head))


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    return synthetic.write(
        tmp_path_factory.mktemp("wide") / "m.gguf", kind=Type.F32, sizes=synthetic.WIDE
    )


def raw(path):
    """The library's own reading: type and bytes, or floats, of each tensor."""
    return {t.name: (t.tensor_type, np.array(t.data)) for t in gguf.GGUFReader(path).tensors}


def library_rounds(weights, kind):
    """What the library `gguf` makes of weights; None if it does not round to the type."""
    try:
        return gguf.quantize(weights, Type[kind])
    except NotImplementedError:
        return None


def test_both_libraries_are_asked():
    """`gguf` rounds to some of the types that are read, and llama.cpp to the others."""
    block = np.ones((1, 256), np.float32)
    assert {kind for kind in KINDS if library_rounds(block, kind) is None} == set(ERRORS)


@pytest.mark.parametrize("kind", KINDS)
def test_as_the_library(tmp_path, wide, kind):
    made = write(tmp_path / "out.gguf", wide, kind)
    assert len(made.types) == 15 and not made.instead
    head = Type[HEAD.get(kind, "Q6_K")]
    found, model = raw(tmp_path / "out.gguf"), load(tmp_path / "out.gguf")
    assert found.keys() == WEIGHTS.keys()
    expected = {}
    for name, weights in WEIGHTS.items():
        its = Type.F32 if weights.ndim == 1 else head if "embd" in name else Type[kind]
        assert found[name][0] == its
        data = library_rounds(weights, its.name)
        if data is None:  # so that llama.cpp was asked
            data = found[name][1]
            change = dequantize(data, its) - weights
            assert 0 < np.sqrt((change**2).mean() / (weights**2).mean()) < ERRORS[its.name]
        np.testing.assert_array_equal(found[name][1], data)
        expected[name] = dequantize(data, its)
    file = File(tmp_path / "out.gguf")
    assert file.metadata["general.file_type"] == writer.file_type(kind) != 1024
    for n, layer in enumerate(model.layers):
        for part, linear in layer.linears.items():
            weights = expected[linear.name]
            np.testing.assert_array_equal(file.weights(file.tensors[linear.name]), weights)
            weights = weights[ORDER.get(part, slice(None))]
            if linear.rounding is not None:
                weights = round_s8("", "", weights).float32()
            np.testing.assert_array_equal(linear.float32(), weights)
        np.testing.assert_array_equal(
            layer.vectors["ffn_norm"], WEIGHTS[f"blk.{n}.ffn_norm.weight"]
        )


def test_same_file_again(tmp_path, wide):
    """A type that a file has already: the same bytes, whatever rounding them again would make."""
    write(tmp_path / "a.gguf", wide, "Q5_1")
    write(tmp_path / "b.gguf", tmp_path / "a.gguf", "Q5_1")
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_damage_is_not_copied(tmp_path):
    """Not even where bytes stay as they are."""
    broken = synthetic.weights()["blk.0.ffn_up.weight"]
    broken[3, 4] = np.nan
    source = synthetic.write(
        tmp_path / "m.gguf", kind=Type.F32, tensors={"blk.0.ffn_up.weight": broken}
    )
    with pytest.raises(UserError, match="'blk.0.ffn_up.weight' must be finite, .* in row 3"):
        write(tmp_path / "out.gguf", source, "F32")


@pytest.mark.parametrize("kind", ["TQ1_0", "TQ2_0"])
def test_ternary_weights_stay(tmp_path, kind):
    """With scales that are half floats, and a weight in each block that is not zero."""
    name = "blk.1.ffn_up.weight"
    signs = np.sign(WEIGHTS[name]) * (np.arange(256) % 3 > 0)
    ternary = np.float32(signs * (np.arange(1, 257)[:, None] / 1024))
    source = synthetic.write(
        tmp_path / "m.gguf", kind=Type.F32, tensors={name: ternary}, sizes=synthetic.WIDE
    )
    write(tmp_path / "out.gguf", source, kind)
    found = load(tmp_path / "out.gguf").layers[1].linears["up"]
    assert found.format.name == "TERNARY"
    np.testing.assert_array_equal(found.float32(), ternary)


def test_metadata_is_kept(tmp_path, monkeypatch):
    more = {
        "general.name": "someone's",
        "general.alignment": 64,
        "some.int8": (-3, gguf.GGUFValueType.INT8),
        "some.float64": (0.1, gguf.GGUFValueType.FLOAT64),
        "some.numbers": ([-1, 2, 3], gguf.GGUFValueType.ARRAY),
        "tokenizer.chat_template": "{{ messages }}",
    }
    with monkeypatch.context() as patched:
        patched.setattr(gguf.gguf_writer, "GGUF_DEFAULT_ALIGNMENT", 64)
        source = synthetic.write(tmp_path / "m.gguf", kind=Type.F32, metadata=more)
    write(tmp_path / "out.gguf", source, "Q4_1")
    before, after = File(source), File(tmp_path / "out.gguf")
    about = {"general.quantization_version": 2, "general.file_type": 3}
    assert set(after.metadata) == set(before.metadata) | set(about)
    for key, value in before.metadata.items():
        assert after.kinds[key] == before.kinds[key], key
        np.testing.assert_array_equal(after.metadata[key], value)
    assert {key: after.metadata[key] for key in about} == about
    assert not any(t.offset % 64 for t in after.tensors.values())


@pytest.mark.parametrize(
    "kind, head, layers, embedding",
    [
        ("TQ2_0", None, "Q8_0", "Q8_0"),
        ("MXFP4", "tq1_0", "MXFP4", "Q8_0"),
        ("q8_0", "F16", "Q8_0", "F16"),
        ("mixed", None, "Q5_0", "Q8_0"),
    ],
)
def test_blocks_that_do_not_fit(tmp_path, kind, head, layers, embedding):
    """Rows of 64 and 128 are no blocks of 256."""
    source = synthetic.write(tmp_path / "m.gguf", kind=Type.F32)
    made = write(tmp_path / "out.gguf", source, kind, head)
    found = {name: type_.name for name, (type_, _) in raw(tmp_path / "out.gguf").items()}
    for name, its in found.items():
        if "norm" in name:
            assert its == "F32" and name not in made.types
            continue
        more = kind == "mixed" and name in ("blk.1.attn_v.weight", "blk.1.ffn_down.weight")
        expected = embedding if "embd" in name else "Q8_0" if more else layers
        asked = (head or "Q6_K") if "embd" in name else kind.upper()
        assert its == made.types[name] == expected
        assert (name in made.instead) == (asked.upper() != expected)
    load(tmp_path / "out.gguf")


def test_separate_head(tmp_path):
    """It has the embedding's type."""
    head = {"output.weight": synthetic.weights(seed=2)["token_embd.weight"]}
    source = synthetic.write(tmp_path / "m.gguf", kind=Type.F32, tensors=head)
    write(tmp_path / "out.gguf", source, "Q4_0", "Q5_0")
    found = raw(tmp_path / "out.gguf")
    assert found["output.weight"][0] == found["token_embd.weight"][0] == Type.Q5_0
    np.testing.assert_array_equal(
        found["output.weight"][1], gguf.quantize(head["output.weight"], Type.Q5_0)
    )


def test_factor_beside_a_matrix(tmp_path):
    """Is multiplied in, since not all types are read with one."""
    name = "blk.1.ffn_up"
    more = {f"{name}.scale": np.float32([3]), f"{name}.input_scale": np.float32([5])}
    source = synthetic.write(tmp_path / "m.gguf", kind=Type.F32, tensors=more)
    write(tmp_path / "out.gguf", source, "F32")
    found = raw(tmp_path / "out.gguf")
    assert not more.keys() & found.keys()
    expected = 3 * synthetic.weights()[f"{name}.weight"]
    np.testing.assert_array_equal(found[f"{name}.weight"][1], expected)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WIDE_RANGE])
@pytest.mark.parametrize("size", [1e12, 1e37])
def test_too_large(tmp_path, kind, size):
    large = {"blk.0.attn_q.weight": synthetic.weights(**synthetic.WIDE)["blk.0.attn_q.weight"]}
    large["blk.0.attn_q.weight"][70, 3] = size
    source = synthetic.write(
        tmp_path / "m.gguf", kind=Type.F32, tensors=large, sizes=synthetic.WIDE
    )
    message = f"'blk.0.attn_q.weight' must have magnitudes that {kind} has, not 1e"
    with pytest.raises(UserError, match=message):
        write(tmp_path / "out.gguf", source, kind)


@pytest.mark.parametrize("kind", ["Q6_K", "Q8_0", "IQ4_XS", "NVFP4", "F16"])
def test_too_small(kind):
    """A matrix that would be zeros."""

    def rounded(factor):
        weights = factor * WEIGHTS["blk.0.attn_q.weight"]
        return writer.rounded(
            "w", content.Source(shape=weights.shape, weights=lambda: weights), kind
        )

    with pytest.raises(UserError, match=f"'w' must have magnitudes that {kind} has, not 2.*e-11"):
        rounded(np.float32(1e-10))
    assert rounded(np.float32(0)).view(np.uint8).shape[0] == 256  # zeros are


@pytest.mark.parametrize("kind", KINDS)
def test_one_large_weight(kind):
    """Is none that is lost, whatever the type makes of a block."""
    weights = np.zeros((2, 512), np.float32)
    weights[1, 300] = -1
    source = content.Source(shape=weights.shape, weights=lambda: weights)
    back = writer.values(writer.rounded("w", source, kind).reshape(2, -1), kind)
    assert (back[1, 300] < 0) and not back[0].any()


@pytest.mark.parametrize(
    "args, message",
    [
        (("Q4_K_M",), "--type must be one of F32, F16, Q4_0, .*, mixed, not 'Q4_K_M'"),
        (("Q4_0", "mixed"), "--head must be one of F32, F16, Q4_0, .*, not 'mixed'"),
    ],
)
def test_types_that_there_are_not(args, message):
    with pytest.raises(UserError, match=message):
        writer.chosen(*args)


def test_library_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    message = r"must be installed .*`make install FOR=quantize`, or pip install 'headrace\[quant"
    with pytest.raises(UserError, match=message):
        writer.chosen("Q4_0")


def test_folder(tmp_path):
    """The weights of the folder, in GGUF's order."""
    hf_files.write(tmp_path / "m")
    made = content.of_folder(tmp_path / "m", load(tmp_path / "m"))
    writer.write(tmp_path / "out.gguf", made, *writer.chosen("F32"))
    found = raw(tmp_path / "out.gguf")
    assert found.keys() == synthetic.weights().keys()
    for name, weights in synthetic.weights().items():
        np.testing.assert_array_equal(found[name][1], weights)


@pytest.mark.parametrize("fmt", ["TERNARY", "U3", "S8"])
def test_folder_of_integers(tmp_path, fmt):
    folder = hf_files.write_native(tmp_path / "m", hf_files.WeightFormat[fmt])
    model, order = load(folder), {"q": half_split(2, 64), "k": half_split(1, 64)}
    made = content.of_folder(folder, model)
    writer.write(tmp_path / "out.gguf", made, *writer.chosen("F32"))
    found = raw(tmp_path / "out.gguf")
    for n, layer in enumerate(model.layers):
        for part, linear in layer.linears.items():
            name = hf_files.FAMILIES["llama"].linears[part].gguf
            weights = found[f"blk.{n}.{name}.weight"][1][order.get(part, slice(None))]
            np.testing.assert_array_equal(weights, linear.float32())
    np.testing.assert_array_equal(found["token_embd.weight"][1], model.embedding.float32())
