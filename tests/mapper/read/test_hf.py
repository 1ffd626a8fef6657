import json
import re
from random import Random

import numpy as np
import pytest
from safetensors.numpy import save_file

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper.families import FAMILIES
from mapper.model import RANGES, round_s8, round_u
from mapper.read import gguf
from mapper.read.hf import read
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .. import synthetic


CONFIG = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "vocab_size": 288,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "eos_token_id": 2,
    "bos_token_id": 1,
}

KINDS = " or ".join(repr(family.hf) for family in FAMILIES.values())


def tensors():
    """The synthetic weights under Hugging Face's names, Q and K in its order."""
    out = {}
    for name, values in synthetic.weights().items():
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            values = values.reshape(-1, 32, 2, 64).swapaxes(1, 2).reshape(values.shape)
        parts = name.split(".")
        if parts[0] == "blk":
            llama = FAMILIES["llama"]
            ours = {its.gguf: its.hf for its in (*llama.linears.values(), *llama.norms.values())}
            name = f"model.layers.{parts[1]}.{ours[parts[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}[
                parts[0]
            ] + ".weight"
        out[name] = np.ascontiguousarray(values)
    return out


def tokenizer():
    names, types = synthetic.tokens()
    what = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": names,
        "types": types,
        "merges": synthetic.MERGES,
    }
    return Tokenizer.from_json(json.dumps({"gguf": what}))


def write(folder, *, config={}, dtype=np.float32, without=(), shards=1, more={}):
    folder.mkdir(exist_ok=True)
    config = {k: v for k, v in {**CONFIG, **config}.items() if v is not None}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(tokenizer().inner.to_str())
    out = {k: v.astype(dtype) for k, v in {**tensors(), **more}.items() if k not in without}
    names = sorted(out)
    for n in range(shards):
        save_file({k: out[k] for k in names[n::shards]}, folder / f"model-{n}.safetensors")
    return folder


def native(fmt, seed=2):
    """Random integers of a format, and scales, under the same names."""
    rng, out = np.random.default_rng(seed), {}
    for name, values in tensors().items():
        if values.ndim == 1:
            out[name] = values
            continue
        which = WeightFormat.S8 if "embed" in name else fmt
        codes = FORMATS[which].grid(rng.choice(FORMATS[which].every_code, values.shape))
        out[name], out[f"{name}_scale"] = (
            codes.astype(np.int8),
            rng.normal(0, 0.01, len(values)).astype(np.float32),
        )
    return out


def write_native(folder, fmt, *, about={}, changes={}, without=()):
    """Write a folder of a format's integers; `changes` are functions of a tensor, by name."""
    write(
        folder,
        config={
            "quantization_config": {"quant_method": "headrace", "format": fmt.name.lower(), **about}
        },
    )
    (folder / "model-0.safetensors").unlink()
    made = {k: changes.get(k, lambda v: v)(v) for k, v in native(fmt).items() if k not in without}
    save_file(made, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("fmt", WeightFormat, ids=lambda f: f.name)
def test_native_weights(tmp_path, fmt):
    """They are integer * scale, whatever `bits` says."""
    model, made = read(write_native(tmp_path / "m", fmt), bits=4), native(fmt)
    for layer in model.layers:
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
            dict(about={"quant_method": "gptq"}),
            "'quant_method' must be 'headrace', not 'gptq'",
        ),
        (
            "TERNARY",
            dict(about={"format": "ternery"}),
            f"'format' must be one of {', '.join(f.name.lower() for f in WeightFormat)}, "
            "not 'ternery'",
        ),
        ("TERNARY", dict(about={"format": None}), "'format' must be one of u4, "),
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
            "must be F32, F16, BF16, I8, not 'I16'",
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
    with pytest.raises(UserError, match="weights must be rounded to 1, 2, 3, 4, 8 bits, not 5$"):
        read(tmp_path, 5)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_weights_are_rounded(tmp_path, bits, dtype):
    model, floats = read(write(tmp_path / "m", dtype=dtype), bits), tensors()
    for layer in model.layers:
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
    other = gguf.read(synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.F32))
    for a, b in zip(ours.layers, other.layers):
        for name in a.linears:
            np.testing.assert_array_equal(a.linears[name].float32(), b.linears[name].float32())
        np.testing.assert_array_equal(a.gains["attn_norm"], b.gains["attn_norm"])
        np.testing.assert_array_equal(a.gains["ffn_norm"], b.gains["ffn_norm"])
    np.testing.assert_array_equal(ours.norm, other.norm)
    for name in (
        "hidden",
        "heads",
        "kv_heads",
        "head_dim",
        "ffn",
        "vocab",
        "context",
        "rope_theta",
        "eos",
        "bos",
        "tied",
    ):
        assert getattr(ours, name) == getattr(other, name), name
    ids = tokenizer().encode("hello world<|im_end|>")
    for model in ours, other:
        assert Tokenizer.from_json(model.tokenizer).encode("hello world<|im_end|>") == ids


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
        read(folder).norm, (floats["model.norm.weight"].view("<u4") >> 16 << 16).view("<f4")
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
    assert (model.rope_theta, model.head_dim, model.bos, model.eos, model.chat_template) == (
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


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(config={"model_type": "gpt2"}), f"'model_type' must be {KINDS}, not 'gpt2'"),
        (dict(config={"model_type": None}), f"'model_type' must be {KINDS}, not None"),
        (dict(config={"hidden_act": "gelu"}), "'hidden_act' must be 'silu', not 'gelu'"),
        (dict(config={"attention_bias": True}), "'attention_bias' must be False, not True"),
        (
            dict(config={"rope_scaling": {"factor": 2}}),
            "'rope_scaling' must be without 'factor', not ",
        ),
        (
            dict(config={"rope_parameters": {"rope_type": "llama3"}}),
            "'rope_type' must be 'default', not 'llama3'",
        ),
        (dict(config={"hidden_size": None}), "'hidden_size' is missing"),
        (
            dict(config={"hidden_size": "64"}),
            "'hidden_size' must be a positive int up to 16777215, not '64'",
        ),
        (
            dict(config={"rms_norm_eps": 0}),
            "'rms_norm_eps' must be a positive float up to 3.4028235e+38, not 0",
        ),
        (
            dict(config={"rms_norm_eps": 1e-46}),
            "rms_eps must be from 1.1754944e-38 to 1, not 1e-46",
        ),
        (dict(config={"rms_norm_eps": 1e30}), "rms_eps must be from 1.1754944e-38 to 1, not 1e+30"),
        (dict(config={"rope_theta": 0.5}), "rope_theta must be from 1 to 3.4028235e+38, not 0.5"),
        (dict(config={"rope_theta": 1e39}), "'rope_theta' must be a positive float up to 3.40282"),
        (
            dict(config={"intermediate_size": 96}),
            "tensor 'model.layers.0.mlp.gate_proj.weight' must have the "
            "shape [96, 64] by config.json, not [128, 64]",
        ),
        (dict(config={"eos_token_id": 288}), "'eos_token_id' must be below 288, not 288"),
        (dict(config={"num_hidden_layers": 1}), "has no place in a Llama of 1 layers"),
        (dict(without=["model.norm.weight"]), "tensor 'model.norm.weight' is missing"),
        (dict(config={"tie_word_embeddings": False}), "tensor 'lm_head.weight' is missing"),
        (dict(dtype=np.float64), "must be F32, F16, BF16, I8, not 'F64'"),
    ],
)
def test_refused(tmp_path, change, message):
    with pytest.raises(UserError, match=re.escape(message)) as info:
        read(write(tmp_path / "m", **change))
    assert str(info.value).startswith(str(tmp_path)) and "\n" not in str(info.value)


def test_missing_files(tmp_path):
    with pytest.raises(UserError, match="config.json: cannot be read: No such file"):
        read(tmp_path)
    folder = write(tmp_path / "m")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer.json: cannot be read: No such file"):
        read(folder)
    (folder / "model-0.safetensors").unlink()
    with pytest.raises(UserError, match="there must be a .safetensors file, there is none"):
        read(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(UserError, match="config.json: must be JSON"):
        read(folder)


def test_shards(tmp_path):
    folder = write(tmp_path / "m", shards=2)
    names = {"model.norm.weight": "model-0.safetensors", "lm_head.weight": "model-1.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": names}))
    assert len(read(folder).layers) == 2
    for weight_map, message in (
        (
            {**names, "x": "model-2.safetensors"},
            "index.json: it names the file 'model-2.safetensors', which is missing; get it too",
        ),
        ({"x": ["model-0.safetensors"]}, "names the file ['model-0.safetensors'], which"),
        ([1], "index.json: 'weight_map' must be a JSON object, not [1]"),
    ):
        index.write_text(json.dumps({"weight_map": weight_map}))
        with pytest.raises(UserError, match=re.escape(message)):
            read(folder)


def test_tensor_in_two_files(tmp_path):
    folder = write(tmp_path / "m")
    save_file({"model.norm.weight": np.ones(64, np.float32)}, folder / "other.safetensors")
    with pytest.raises(
        UserError,
        match="^.*other.safetensors: tensor 'model.norm.weight' is in "
        "model-0.safetensors too; take one of the files away$",
    ):
        read(folder)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
        "chat_template.jinja",
        "model-0.safetensors",
    ],
)
def test_digest_of_all_that_is_read(tmp_path, name):
    """Images are kept by it: a file that changes them must change it."""
    folder = write(tmp_path / "m")
    for file in "tokenizer_config.json", "generation_config.json", "chat_template.jinja":
        (folder / file).write_text("{}")
    before = read(folder).sha256
    assert read(folder).sha256 == before
    if name.startswith("model"):
        save_file({k: 2 * v for k, v in tensors().items()}, folder / name)
    else:
        (folder / name).write_text((folder / name).read_text() + "\n")
    assert read(folder).sha256 != before


@pytest.mark.parametrize("name", ["model-0.safetensors", "config.json"])
def test_damaged_anywhere(tmp_path, name):
    rng, folder = Random(3), write(tmp_path / "m")
    file = folder / name
    content, refused = file.read_bytes(), 0
    for n in range(250):
        broken = bytearray(content)
        if n % 5 == 0:
            del broken[rng.randrange(len(broken)) :]
        else:
            at = rng.randrange(min(len(broken), 3000))
            broken[at] = rng.choice([broken[at] ^ 1 << rng.randrange(8), 0, 255])
        file.write_bytes(broken)
        try:
            model = read(folder)
            for layer in model.layers:
                assert layer.linears["q"].float32().dtype == np.float32
        except UserError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert n % 5, f"{len(broken)} of {len(content)} bytes were taken"
    assert refused > 100
