import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper.model import RANGES
from mapper.read import gguf_model
from mapper.read.hf_model import read
from mapper.read.hyperparameters import differing
from mapper.rounding import round_s8, round_u
from rtl.spec.isa import WeightFormat

from .. import synthetic
from .hf_files import CONFIG, native, tensors, tokenizer, write, write_native


@pytest.mark.parametrize("fmt", WeightFormat, ids=lambda f: f.name)
def test_native_weights(tmp_path, fmt):
    """They are integer * scale, whatever `bits` says."""
    model, made = read(write_native(tmp_path / "m", fmt), bits=4), native(fmt)
    for n, layer in enumerate(model.layers):
        assert model.layers.formats(n) == dict.fromkeys(layer.linears, fmt)
        for linear in (*layer.linears.values(), model.embedding):
            expected = made[linear.name] * made[f"{linear.name}_scale"][:, None]
            np.testing.assert_array_equal(linear.float32(), expected)
            assert linear.format == (WeightFormat.S8 if linear is model.embedding else fmt)
            low, high = RANGES[linear.format]
            assert linear.codes.min() == low and linear.codes.max() == high
        np.testing.assert_array_equal(linear.d[:, 0], made[f"{linear.name}_scale"])


DOWN = "model.layers.1.mlp.down_proj.weight"


def put(value):
    """Change of one element of a tensor."""

    def change(values):
        values[2, 3] = value
        return values

    return change


@pytest.mark.parametrize(
    "fmt, change, message",
    [
        (
            "TERNARY",
            dict(about={"quant_method": "fp8"}),
            "'quant_method' must be one of awq, bitnet, compressed-tensors, gptq, headrace, mxfp4, "
            "not 'fp8'; take this model's float weights instead",
        ),
        (
            "TERNARY",
            dict(about={"format": "ternery"}),
            f"'format' must be one of {', '.join(repr(f.name.lower()) for f in WeightFormat)}, "
            "not 'ternery'",
        ),
        ("TERNARY", dict(about={"format": None}), "'format' must be one of 'u4', "),
        (
            "TERNARY",
            dict(changes={DOWN: put(2)}),
            f"tensor {DOWN!r} must have integers from -1 to 1, as ternary has, "
            "not 2 in row 2, column 3",
        ),
        (
            "SPARSE4",
            dict(changes={DOWN: put(-9)}),
            "must have integers from -8 to 7, as sparse4 has, not -9 in row 2, ",
        ),
        (
            "U2",
            dict(changes={DOWN: put(2)}),
            "must have odd integers from -3 to 3, as u2 has, not 2 in row 2, column 3",
        ),
        (
            "U3",
            dict(changes={DOWN: put(-9)}),
            "must have odd integers from -7 to 7, as u3 has, not -9 in row 2, ",
        ),
        ("SPARSE8", dict(without=[f"{DOWN}_scale"]), f"tensor '{DOWN}_scale' is missing"),
        (
            "SPARSE8",
            dict(changes={f"{DOWN}_scale": lambda v: v[:, None]}),
            "must have the shape [64] by config.json, not [64, 1]",
        ),
        (
            "SPARSE8",
            dict(changes={f"{DOWN}_scale": lambda v: v * np.float32(np.inf)}),
            "must be finite",
        ),
        (
            "SPARSE8",
            dict(changes={DOWN: lambda v: v.astype(np.float32)}),
            f"tensor {DOWN!r} must be I8, not 'F32'",
        ),
        (
            "SPARSE8",
            dict(changes={"model.norm.weight": lambda v: v.astype(np.int8)}),
            "must be F32, F16, BF16, not 'I8'",
        ),
        (
            "SPARSE8",
            dict(changes={DOWN: lambda v: v.astype(np.int16)}),
            "must be F32, F16, BF16, I8, U8, I32, I64, not 'I16'",
        ),
    ],
)
def test_native_refused(tmp_path, fmt, change, message):
    with pytest.raises(UserError, match=re.escape(message)) as info:
        for layer in read(write_native(tmp_path / "m", WeightFormat[fmt], **change)).layers:
            assert layer.linears["q"].codes.any()
    assert str(info.value).startswith(str(tmp_path)) and "\n" not in str(info.value)


def test_integers_of_unknown_meaning(tmp_path):
    folder = write_native(tmp_path / "m", WeightFormat.S8)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(UserError, match="has no place in a Llama"):
        read(folder)


def test_bits_refused(tmp_path):
    with pytest.raises(UserError, match="weights must be rounded to 1, 2, 3, 4, 5, 8 bits, not 6$"):
        read(tmp_path, 6)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_weights_are_rounded(tmp_path, bits, dtype):
    model, floats = read(write(tmp_path / "m", dtype=dtype), bits), tensors()
    for n, layer in enumerate(model.layers):
        assert model.layers.formats(n) == {k: its.format for k, its in layer.linears.items()}
        for linear in layer.linears.values():
            values = "", "", floats[linear.name].astype(dtype).astype(np.float32)
            expected = round_s8(*values) if bits == 8 else round_u(*values, bits)
            assert (
                linear.format
                == expected.format
                == WeightFormat[f"{'S' if bits == 8 else 'U'}{bits}"]
            )
            np.testing.assert_array_equal(linear.codes, expected.codes)
            np.testing.assert_array_equal(linear.float32(), expected.float32())
    assert model.embedding.format == WeightFormat.S8 and model.head is model.embedding


def test_same_as_the_gguf(tmp_path):
    ours = read(write(tmp_path / "m", shards=3))
    other = gguf_model.read(synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.F32))
    for a, b in zip(ours.layers, other.layers):
        for name in a.linears:
            np.testing.assert_array_equal(a.linears[name].float32(), b.linears[name].float32())
        np.testing.assert_array_equal(a.vectors["attn_norm"], b.vectors["attn_norm"])
        np.testing.assert_array_equal(a.vectors["ffn_norm"], b.vectors["ffn_norm"])
    np.testing.assert_array_equal(ours.outside["norm"], other.outside["norm"])
    for name in (
        "hidden",
        "heads",
        "kv_heads",
        "head_dim",
        "ffn",
        "vocab",
        "context",
        "bos",
        "tied",
    ):
        assert getattr(ours, name) == getattr(other, name), name
    assert differing(ours.shape, other.shape) is None
    assert (ours.eos, other.eos) == ((2,), (2, 0))  # GGUF's end by their names, too
    ids = tokenizer().encode("hello world<|im_end|>")
    for model in ours, other:
        assert Tokenizer.from_json(model.tokenizer).encode("hello world<|im_end|>") == ids


def test_the_body_alone(tmp_path):
    """A folder whose names have no ``model.`` in front, as GPT-2's have no ``transformer.``."""
    whole, folder = read(write(tmp_path / "m")), write(tmp_path / "body")
    bare = {name.removeprefix("model."): values for name, values in tensors().items()}
    save_file(
        bare | {"lm_head.weight": bare["embed_tokens.weight"]}, folder / "model-0.safetensors"
    )
    model = read(folder)
    assert model.tied and model.shape == whole.shape
    for a, b in zip(whole.layers, model.layers):
        for name in a.linears:
            np.testing.assert_array_equal(a.linears[name].codes, b.linears[name].codes)
    np.testing.assert_array_equal(whole.outside["norm"], model.outside["norm"])


def test_bfloat16(tmp_path):
    """Written by hand, since numpy has none."""
    folder, floats = write(tmp_path / "m"), tensors()
    header, body = {}, b""
    for name, values in floats.items():
        raw = (values.view("<u4") >> 16).astype("<u2").tobytes()
        header[name] = {
            "dtype": "BF16",
            "shape": values.shape,
            "data_offsets": [len(body), len(body) + len(raw)],
        }
        body += raw
    text = json.dumps(header).encode()
    (folder / "model-0.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    np.testing.assert_array_equal(
        read(folder).outside["norm"],
        (floats["model.norm.weight"].view("<u4") >> 16 << 16).view("<f4"),
    )


def test_untied_head(tmp_path):
    head = np.ones((288, 64), np.float32)
    model = read(
        write(tmp_path / "m", config={"tie_word_embeddings": None}, more={"lm_head.weight": head})
    )
    assert not model.tied
    np.testing.assert_allclose(model.head.float32(), 1, rtol=1e-6)


def test_other_files(tmp_path):
    folder = write(
        tmp_path / "m",
        config={
            "rope_theta": None,
            "head_dim": None,
            "num_attention_heads": 1,
            "rope_parameters": {"rope_theta": 500.0, "rope_type": "default"},
        },
        more={
            f"model.layers.{n}.self_attn.{p}_proj.weight": np.ones((64, 64), np.float32)
            for n in range(2)
            for p in "qo"
        },
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"add_bos_token": True, "chat_template": "{{ 1 }}"})
    )
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [2, 0]}))
    model = read(folder)
    assert (model.shape.rope.theta, model.head_dim, model.bos, model.eos, model.chat_template) == (
        500.0,
        64,
        1,
        (2, 0),
        "{{ 1 }}",
    )


@pytest.mark.parametrize(
    "generation, eos", [({}, (2,)), ({"eos_token_id": None}, (2,)), ({"eos_token_id": 5}, (5,))]
)
def test_tokens_that_end_an_answer(tmp_path, generation, eos):
    folder = write(tmp_path / "m")
    (folder / "generation_config.json").write_text(json.dumps(generation))
    assert read(folder).eos == eos
    write(tmp_path / "m", config={"eos_token_id": "</s>"})
    with pytest.raises(UserError, match="'eos_token_id' must be below 288, not '</s>'$"):
        read(folder)


@pytest.mark.parametrize(
    "template, text",
    [
        (None, None),
        ("{{ 1 }}", "{{ 1 }}"),
        ([], None),
        ([{"name": "tool_use", "template": "2"}, {"name": "default", "template": "3"}], "3"),
        (1, UserError),
        ([1], UserError),
        ([{"name": "default", "template": 1}], UserError),
    ],
)
def test_chat_templates(tmp_path, template, text):
    folder = write(tmp_path / "m")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": template}))
    if text is UserError:
        with pytest.raises(UserError, match="'chat_template' must be text, or a list of objects "):
            read(folder)
    else:
        assert read(folder).chat_template == text
