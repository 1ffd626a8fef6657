import re
from random import Random

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from mapper.families import FAMILIES, called
from mapper.read.gguf_model import read
from rtl.spec.isa import WeightFormat

from .. import synthetic


KINDS = " or ".join(map(repr, called("gguf")))


def undo(name, weights, dim=64):
    """GGUF's rows of Q and K in half-split order, where `dim` of a head's 64 are rotated."""
    if not name.endswith(("attn_q.weight", "attn_k.weight")):
        return weights
    rest = [*range(dim, 64)]
    middle = len(rest) // 2
    order = [*range(0, dim, 2), *rest[:middle], *range(1, dim, 2), *rest[middle:]]
    return weights.reshape(-1, 64, weights.shape[1])[:, order].reshape(weights.shape)


def everything(model):
    """Read all there is."""
    return [
        model.embedding,
        model.head,
        *(x for layer in model.layers for x in layer.linears.values()),
    ]


@pytest.mark.parametrize("kind", [Type.Q4_0, Type.Q4_1, Type.Q8_0])
def test_weights_are_the_files(tmp_path, kind):
    path = synthetic.write(tmp_path / "m.gguf", kind=kind)
    model, tensors = read(path), {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert set(model.layers[0].linears) == set(FAMILIES["llama"].linears)
    for linear in everything(model):
        tensor = tensors[linear.name]
        expected = gguf.dequantize(tensor.data, tensor.tensor_type)
        np.testing.assert_array_equal(linear.float32(), undo(linear.name, expected))
        assert linear.source == kind.name
        assert linear.format == (WeightFormat.S8 if kind == Type.Q8_0 else WeightFormat.U4)
    for n, layer in enumerate(model.layers):
        np.testing.assert_array_equal(
            layer.vectors["attn_norm"], tensors[f"blk.{n}.attn_norm.weight"].data
        )
        np.testing.assert_array_equal(
            layer.vectors["ffn_norm"], tensors[f"blk.{n}.ffn_norm.weight"].data
        )


@pytest.mark.parametrize("kind", [Type.F16, Type.F32])
def test_floats_are_rounded_to_bytes(tmp_path, kind):
    model, floats = read(synthetic.write(tmp_path / "m.gguf", kind=kind)), synthetic.weights()
    for linear in everything(model):
        expected = undo(linear.name, floats[linear.name])
        half_step = np.abs(expected).reshape(-1, 32).max(1, keepdims=True) / 254
        difference = np.abs(linear.float32() - expected).reshape(-1, 32)
        assert (difference <= half_step * 1.1 + 1e-7).all()  # 1.1: half floats were rounded before
        assert linear.format == WeightFormat.S8


def test_shape(tmp_path):
    model = read(synthetic.write(tmp_path / "m.gguf"))
    assert (
        len(model.layers),
        model.hidden,
        model.heads,
        model.kv_heads,
        model.head_dim,
        model.ffn,
        model.vocab,
        model.context,
    ) == (2, 64, 2, 1, 64, 128, 288, 256)
    assert (model.eos, model.bos, model.tied, model.shape.rope.theta) == (
        (2, 0),
        None,
        True,
        10000.0,
    )
    assert model.embedding is model.head


def test_untied_head(tmp_path):
    head = np.ones((288, 64), np.float32)
    model = read(synthetic.write(tmp_path / "m.gguf", tensors={"output.weight": head}))
    assert not model.tied and model.head.name == "output.weight"


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(arch="llama5"), f"the architecture must be {KINDS}, not 'llama5'"),
        (
            dict(kind=Type.IQ3_S, sizes=synthetic.WIDE),
            "tensor 'token_embd.weight' must be of type F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, "
            "Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS, BF16, TQ1_0, TQ2_0, MXFP4, NVFP4, Q1_0, "
            "not IQ3_S; convert the model to one of these",
        ),
        (dict(without=["blk.1.ffn_up.weight"]), "tensor 'blk.1.ffn_up.weight' is missing"),
        (dict(metadata={"llama.block_count": None}), "'llama.block_count' is missing"),
        (dict(metadata={"llama.block_count": 1}), "has no place in a Llama of 1 layers"),
        (
            dict(metadata={"llama.feed_forward_length": 64}),
            "tensor 'blk.0.ffn_gate.weight' must have the shape [64, 64] by the file's own "
            "metadata, "
            "not [128, 64]",
        ),
        (
            dict(metadata={"llama.vocab_size": 289}),
            "tensor 'token_embd.weight' must have the shape [289, 64] by the file's own metadata, "
            "not [288, 64]",
        ),
        (
            dict(metadata={"llama.rope.dimension_count": 128}),
            "'llama.rope.dimension_count' must be an integer from 1 to 64, not 128; this model "
            "cannot be mapped",
        ),
        (dict(metadata={"llama.expert_count": 4}), "'llama.expert_count' must be 0, not 4"),
        (
            dict(metadata={"tokenizer.ggml.eos_token_id": 288}),
            "metadata 'tokenizer.ggml.eos_token_id' must be from 0 to 287, not 288",
        ),
        (
            dict(tensors={"blk.0.attn_q.bias": np.ones(128, np.float32)}),
            "tensor 'blk.1.attn_q.bias' is missing",
        ),
    ],
)
def test_refused(tmp_path, change, message):
    path = synthetic.write(tmp_path / "m.gguf", **change)
    with pytest.raises(UserError, match=f"^{re.escape(str(path))}: .*{re.escape(message)}") as info:
        everything(read(path))
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("llama.attention.head_count", 4, "must have the shape [256, 64]"),
        (
            "llama.attention.key_length",
            32,
            "'llama.attention.value_length' must be attention.key_length's 32, not 64",
        ),
    ],
)
def test_head_dimension(tmp_path, key, value, message):
    path = synthetic.write(tmp_path / "m.gguf", metadata={key: value})
    with pytest.raises(UserError, match=re.escape(message)):
        read(path)


def test_not_a_gguf(tmp_path):
    path = tmp_path / "m.gguf"
    for content in (b"", b"GG", b"PK\x03\x04 and more"):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"a GGUF file must begin with b'GGUF', not"):
            read(path)
    with pytest.raises(UserError, match=r"cannot be read: No such file or directory$"):
        read(tmp_path / "none.gguf")
    with pytest.raises(UserError, match=r"cannot be read: Is a directory$"):
        read(tmp_path)


def test_not_finite(tmp_path):
    norm = np.ones(64, np.float32)
    norm[3] = np.nan
    with pytest.raises(UserError, match="'output_norm.weight' must be finite, .* not nan in row 3"):
        read(synthetic.write(tmp_path / "m.gguf", tensors={"output_norm.weight": norm}))


def test_code_that_cannot_be_mirrored(tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", kind=Type.Q8_0)
    tensor = next(t for t in gguf.GGUFReader(path).tensors if t.name == "blk.0.ffn_up.weight")
    raw = bytearray(path.read_bytes())
    raw[tensor.data_offset + 2] = 0x80
    path.write_bytes(raw)
    assert read(path).layers[0].linears["up"].codes[0, 0] == -128
    raw[tensor.data_offset + 1] |= 0x80
    path.write_bytes(raw)
    with pytest.raises(UserError, match="'blk.0.ffn_up.weight' has -128 times a negative scale"):
        read(path).layers[0].linears["up"].take(slice(0, 1))


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    return synthetic.write(tmp_path_factory.mktemp("gguf") / "m.gguf").read_bytes()


def outcome(path, content):
    """None for a good model, else the message."""
    path.write_bytes(content)
    try:
        everything(read(path))
    except UserError as error:
        assert str(error).startswith(str(path)) and "\n" not in str(error)
        return str(error)


def test_truncated_anywhere(tmp_path, content):
    rng, size = Random(1), len(content)
    assert outcome(tmp_path / "m.gguf", content) is None
    for end in [*range(64), *rng.sample(range(size), 250), size - 32, size - 1]:
        assert outcome(tmp_path / "m.gguf", content[:end]), f"{end} of {size} bytes were taken"


def test_flipped_anywhere(tmp_path, content):
    rng, refused = Random(2), 0
    header = 12000  # where the metadata and the tensors' headers are
    for n in range(600):
        broken = bytearray(content)
        for _ in range(rng.choice([1, 1, 1, 4])):
            at = rng.randrange(header if n % 4 else len(content))
            broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
        refused += outcome(tmp_path / "m.gguf", bytes(broken)) is not None
    assert refused > 100
