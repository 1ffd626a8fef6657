import json
import re
from random import Random

import numpy as np
import pytest
from safetensors.numpy import save_file

from host.errors import UserError
from mapper.read.hf_model import read

from .hf_files import KINDS, tensors, write


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(config={"model_type": "llama5"}), f"'model_type' must be {KINDS}, not 'llama5'"),
        (dict(config={"model_type": None}), f"'model_type' must be {KINDS}, not None"),
        (
            dict(config={"hidden_act": "xielu"}),
            "'hidden_act' must be 'silu' or 'swish' or 'gelu' or 'gelu_new' or 'gelu_fast' or "
            "'gelu_pytorch_tanh' or 'relu' or 'relu2', not 'xielu'; this model cannot be mapped",
        ),
        (
            dict(config={"attention_bias": True}),
            "tensor 'model.layers.0.self_attn.q_proj.bias' is missing",
        ),
        (
            dict(config={"attention_bias": "yes"}),
            "'attention_bias' must be true or false, not 'yes'; this model cannot be mapped",
        ),
        (
            dict(config={"rope_scaling": {"factor": 2}}),
            "RoPE parameters of type 'default' must be without 'factor'",
        ),
        (
            dict(config={"rope_parameters": {"rope_type": "llama3"}}),
            "'factor' must be a number, not None",
        ),
        (dict(config={"hidden_size": None}), "'hidden_size' or 'n_embd' is missing"),
        (
            dict(config={"hidden_size": "64"}),
            "'hidden_size' must be an integer from 1 to 1048576, not '64'",
        ),
        (
            dict(config={"rms_norm_eps": 0}),
            "'rms_norm_eps' must be a number above 0, and at most 1, not 0",
        ),
        (
            dict(config={"rms_norm_eps": 1e-46}),
            "norm_eps must be from 1.1754944e-38 to 1, not 1e-46",
        ),
        (
            dict(config={"rms_norm_eps": 1e30}),
            "'rms_norm_eps' must be a number above 0, and at most 1, not 1e+30",
        ),
        (
            dict(config={"rope_theta": 0.5}),
            "'rope_theta' must be above 1, and at most 1e+15, not 0.5",
        ),
        (
            dict(config={"rope_theta": 1e39}),
            "'rope_theta' must be above 1, and at most 1e+15, not 1e+39",
        ),
        (
            dict(config={"intermediate_size": 96}),
            "tensor 'model.layers.0.mlp.gate_proj.weight' must have the "
            "shape [96, 64] by config.json, not [128, 64]",
        ),
        (dict(config={"eos_token_id": 288}), "'eos_token_id' must be below 288, not 288"),
        (dict(config={"num_hidden_layers": 1}), "has no place in a Llama of 1 layers"),
        (dict(without=["model.norm.weight"]), "tensor 'model.norm.weight' is missing"),
        (dict(config={"tie_word_embeddings": False}), "tensor 'lm_head.weight' is missing"),
        (dict(dtype=np.float64), "must be F32, F16, BF16, I8, U8, I32, I64, not 'F64'"),
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
