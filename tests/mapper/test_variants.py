"""What makes a model compute something else is refused by name; what does nothing is taken."""

from dataclasses import replace

import numpy as np
import pytest
from gguf import GGUFValueType as Value

from host.errors import UserError
from mapper.hyperparameters import Rotary
from mapper.read import gguf_model, hf_model
from mapper.read.hyperparameters import differing
from sw_ref.rotary import RopeScaling

from . import synthetic
from .read import hf_files


def norm(of=64):
    return np.ones(of, np.float32)


def message(read, path):
    """What a model is refused with, without the path; None if it is taken."""
    try:
        read(path)
    except UserError as error:
        text = str(error)
        assert text.startswith(str(path)) and "\n" not in text
        return text[len(str(path)) :]
    return None


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("attention.sliding_window", "all", "an integer from 0 to 16777215"),
        ("rope.dimension_count", 1, "an even number of a head's 64 elements"),
        ("rope.dimension_count", 33, "an even number of a head's 64 elements"),
        ("rope.dimension_count", 65, "an integer from 1 to 64"),
        ("expert_count", 8, "0"),
        ("expert_used_count", 2, "0"),
        ("embedding_scale", 12.0, "1.0"),
        ("residual_scale", 0.22, "1.0"),
        ("logit_scale", 8.0, "1.0"),
        ("attention.scale", 0.0078125, "0.0"),
        ("attention.clamp_kqv", 8.0, "0.0"),
        ("attention.max_alibi_bias", 8.0, "0.0"),
        ("attn_logit_softcapping", 50.0, "0.0"),
        ("final_logit_softcapping", 30.0, "0.0"),
        ("attention.causal", False, "True"),
        ("use_parallel_residual", True, "False"),
        ("pooling_type", 1, "0"),
        ("expert_count", [1, 2], "0"),
        ("logit_scale", float("nan"), "1.0"),
    ],
)
def test_gguf_refused(tmp_path, key, value, expected):
    path = synthetic.write(tmp_path / "m.gguf", metadata={f"llama.{key}": value})
    assert message(gguf_model.read, path).startswith(f": 'llama.{key}' must be {expected}, not ")


@pytest.mark.parametrize(
    "value, expected",
    [
        ("longrope", "must not be longrope without tensors of RoPE factors"),
        (1, "must be none, linear, yarn or longrope, not 1"),
    ],
)
def test_gguf_scaling_refused(tmp_path, value, expected):
    path = synthetic.write(tmp_path / "m.gguf", metadata={"llama.rope.scaling.type": value})
    text = f": 'rope.scaling.type' {expected}; this model cannot be mapped"
    assert message(gguf_model.read, path) == text


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Hyperparameters of the model without any change."""
    return gguf_model.read(synthetic.write(tmp_path_factory.mktemp("plain") / "m.gguf")).shape


@pytest.mark.parametrize(
    "metadata, scaling",
    [
        ({"type": "linear", "factor": 4.0}, {"kind": "linear", "factor": 4.0}),
        ({"factor": 4.0}, {"kind": "linear", "factor": 4.0}),
        (
            {"type": "yarn", "factor": 2.0, "original_context_length": 128},
            {"kind": "yarn", "factor": 2.0, "original": 128},
        ),
        ({"attn_factor": 1.25}, {"attention": 1.25}),
    ],
)
def test_gguf_scalings_are_read(tmp_path, plain, metadata, scaling):
    metadata = {f"llama.rope.scaling.{key}": value for key, value in metadata.items()}
    shape = gguf_model.read(synthetic.write(tmp_path / "m.gguf", metadata=metadata)).shape
    assert {name: getattr(shape.rope.scaling, name) for name in scaling} == scaling
    assert differing(shape, plain) == "rope"
    assert differing(replace(shape, rope=plain.rope), plain) is None


@pytest.mark.parametrize(
    "metadata, changes",
    [
        (
            {"rope.scale_linear": 2.0},
            {"rope": Rotary(theta=1e4, dim=64, scaling=RopeScaling("linear", 2.0))},
        ),
        ({"attention.sliding_window": 128}, {"window": 128}),
        ({"rope.dimension_count": 32}, {"rope": Rotary(theta=1e4, dim=32)}),
    ],
)
def test_gguf_read(tmp_path, plain, metadata, changes):
    metadata = {f"llama.{key}": value for key, value in metadata.items()}
    shape = gguf_model.read(synthetic.write(tmp_path / "m.gguf", metadata=metadata)).shape
    assert differing(shape, plain) in changes
    assert differing(shape, replace(plain, **changes)) is None


def test_gguf_factors(tmp_path, plain):
    """Of Llama 3's RoPE, which GGUF has as a tensor."""
    factors = np.linspace(1, 8, 32, dtype=np.float32)
    path = synthetic.write(tmp_path / "m.gguf", tensors={"rope_freqs.weight": factors})
    shape = gguf_model.read(path).shape
    assert shape.rope.scaling.factors == tuple(factors.tolist())
    assert differing(shape, plain) == "rope"
    path = synthetic.write(tmp_path / "long.gguf", tensors={"rope_freqs.weight": norm()})
    assert message(gguf_model.read, path) == (
        ": 'rope_freqs.weight' must be 32 numbers, one per frequency, not 64; this model cannot be "
        "mapped"
    )


def test_gguf_biases(tmp_path, plain):
    """Those that the file has, in the order of their matrix' rows, and of all layers."""
    sizes = {"attn_q": 128, "attn_v": 64, "ffn_down": 64}
    tensors = {
        f"blk.{n}.{name}.bias": np.arange(size, dtype=np.float32) + n
        for n in range(2)
        for name, size in sizes.items()
    }
    path = synthetic.write(tmp_path / "m.gguf", tensors=tensors)
    model = gguf_model.read(path)
    assert model.shape == replace(plain, biased=frozenset({"q", "v", "down"}))
    for n, layer in enumerate(model.layers):
        q = (np.arange(128) + n).reshape(2, 32, 2).swapaxes(1, 2).reshape(128)
        np.testing.assert_array_equal(layer.vectors["q_bias"], q)
        np.testing.assert_array_equal(layer.vectors["v_bias"], np.arange(64) + n)
        np.testing.assert_array_equal(layer.vectors["down_bias"], np.arange(64) + n)
    del tensors["blk.1.ffn_down.bias"]
    path = synthetic.write(tmp_path / "some.gguf", tensors=tensors)
    assert message(gguf_model.read, path).startswith(": tensor 'blk.1.ffn_down.bias' is missing")


@pytest.mark.parametrize(
    "key", ["attention.layer_indices", "altup.num_inputs", "swin_norm", "rope.freq_base_swa"]
)
def test_gguf_unknown(tmp_path, key):
    path = synthetic.write(tmp_path / "m.gguf", metadata={f"llama.{key}": 1})
    assert message(gguf_model.read, path) == (
        f": metadata 'llama.{key}' is not known, and may change what the model computes; this "
        "model cannot be mapped yet"
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"rope.scaling.type": "none"},
        {"rope.scaling.factor": 1.0},
        {"rope.scale_linear": 1.0},
        {"attention.sliding_window": 0},
        {"attention.sliding_window": 256},
        {"expert_count": 0},
        {"logit_scale": 1.0},
        {"attention.causal": True},
        {"tensor_data_layout": "Meta AI original pth"},
        {"rope.scaling.original_context_length": 256, "rope.scaling.finetuned": False},
        {"rope.dimension_count": None},
        {"attention.value_length": None},
        {
            "block_count": (2, Value.UINT16),
            "attention.layer_norm_rms_epsilon": (1e-5, Value.FLOAT64),
        },
    ],
)
def test_gguf_taken(tmp_path, metadata):
    metadata = {f"llama.{key}": value for key, value in metadata.items()}
    assert message(gguf_model.read, synthetic.write(tmp_path / "m.gguf", metadata=metadata)) is None


@pytest.mark.parametrize(
    "name",
    [
        "blk.0.attn_q_norm.weight",
        "blk.1.attn_q.bias",
        "blk.1.ffn_gate.bias",
        "blk.0.ffn_gate_inp.weight",
        "output.bias",
        "blk.0.post_attention_norm.weight",
        "blk.0.attn_sub_norm.weight",
    ],
)
def test_gguf_tensors(tmp_path, name):
    path = synthetic.write(tmp_path / "m.gguf", tensors={name: norm()})
    assert message(gguf_model.read, path).startswith(
        f": tensor '{name}' has no place in a Llama of 2 "
    )


def test_gguf_parts(tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", metadata={"split.count": 3})
    assert message(gguf_model.read, path).startswith(
        ": the model must be in one file, this is one of 3"
    )


ROPE = {"rope_theta": 10000.0}


@pytest.mark.parametrize(
    "config, expected",
    [
        ({"rope_scaling": {"rope_type": "llama3"}}, "'factor' must be a number, not None"),
        (
            {"rope_scaling": {"factor": 2.0}},
            "RoPE parameters of type 'default' must be without 'factor'",
        ),
        ({"rope_scaling": "linear"}, "RoPE parameters must be a JSON object, not 'linear'"),
        (
            {"rope_parameters": {"rope_theta": 5e5}},
            "'rope_theta' must be one thing, not 500000.0 and 10000.0",
        ),
        (
            {"partial_rotary_factor": 1.5},
            "'partial_rotary_factor' must be a number above 0, and at most 1, not 1.5",
        ),
        (
            {"partial_rotary_factor": "half"},
            "'partial_rotary_factor' must be a number above 0, and at most 1, not 'half'",
        ),
        (
            {"partial_rotary_factor": 0.3},
            "'partial_rotary_factor' must be an even number of a head's 64 elements, not 0.3",
        ),
        (
            {"rope_parameters": {"partial_rotary_factor": 0.01, **ROPE}},
            "'partial_rotary_factor' must be an even number of a head's 64 elements, not 0.01",
        ),
        ({"sliding_window": "128"}, "'sliding_window' must be an integer from 0 to 16777215, not"),
        (
            {"sliding_window": 128, "use_sliding_window": 1},
            "'use_sliding_window' must be true or false, not 1",
        ),
        (
            {"layer_types": ["chunked_attention", "full_attention"]},
            "'layer_types' must be 'full_attention' or 'sliding_attention', not 'chunked_",
        ),
        (
            {"layer_types": ["full_attention"] * 3},
            "'layer_types' must be 2 values of type str, not ",
        ),
        ({"attention_bias": True}, "tensor 'model.layers.0.self_attn.q_proj.bias' is missing"),
        ({"mlp_bias": True}, "tensor 'model.layers.0.mlp.gate_proj.bias' is missing"),
        ({"hidden_act": "xielu"}, " or 'relu' or 'relu2', not 'xielu'"),
        (
            {"model_type": "llama5", "max_position_embeddings": None},
            f"'model_type' must be {hf_files.KINDS}, not 'llama5'",
        ),
        ({"model_type": "mixtral"}, "the architecture 'mixtral' is a mixture of experts, which is"),
        ({"final_logit_softcapping": 30.0}, "'final_logit_softcapping' must be None, not 30.0"),
        ({"attn_logit_softcapping": 50.0}, "'attn_logit_softcapping' must be None, not 50.0"),
        ({"embedding_multiplier": 12.0}, "'embedding_multiplier' must be 1.0, not 12.0"),
        ({"attention_multiplier": 0.015625}, "'attention_multiplier' must be None, not 0.015625"),
        ({"residual_multiplier": 0.22}, "'residual_multiplier' must be 1.0, not 0.22"),
        ({"logits_scaling": 8.0}, "'logits_scaling' must be 1.0, not 8.0"),
        ({"num_local_experts": 8}, "'num_local_experts' must be None, not 8"),
        ({"alibi": True}, "'alibi' must be False, not True"),
        ({"use_qk_norm": True}, "'use_qk_norm' must be False, not True"),
        ({"no_rope_layers": [1, 1, 0]}, "'no_rope_layers' must be None, not [1, 1, 0]"),
        (
            {"model_type": "starcoder2", "norm_type": "rms_norm"},
            "'norm_type' must be 'layer_norm', not 'rms_norm'",
        ),
        (
            {"model_type": "starcoder2", "mlp_type": "gated"},
            "'mlp_type' must be 'default', not 'gated'",
        ),
        ({"tie_word_embeddings": "yes"}, "'tie_word_embeddings' must be true or false, not 'yes'"),
    ],
)
def test_hf_refused(tmp_path, config, expected):
    assert expected in message(hf_model.read, hf_files.write(tmp_path / "m", config=config))


@pytest.fixture(scope="module")
def plain_hf(tmp_path_factory):
    """Hyperparameters of the folder without any change."""
    return hf_model.read(hf_files.write(tmp_path_factory.mktemp("plain") / "m")).shape


@pytest.mark.parametrize(
    "config, changes",
    [
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}},
            {"rope": Rotary(theta=1e4, dim=64, scaling=RopeScaling("linear", 2.0))},
        ),
        (
            {"rope_parameters": {"type": "linear", "factor": 2.0, **ROPE}},
            {"rope": Rotary(theta=1e4, dim=64, scaling=RopeScaling("linear", 2.0))},
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_theta": 5e5}}, "rope_theta": None},
            {"rope": Rotary(theta=5e5, dim=64)},
        ),
        (
            {"rope_parameters": {"partial_rotary_factor": 0.5, **ROPE}},
            {"rope": Rotary(theta=1e4, dim=32)},
        ),
        ({"partial_rotary_factor": 0.25}, {"rope": Rotary(theta=1e4, dim=16)}),
        ({"sliding_window": 128}, {"window": 128}),
        ({"sliding_window": 128, "use_sliding_window": True}, {"window": 128}),
        (
            {"sliding_window": 64, "layer_types": ["sliding_attention", "full_attention"]},
            {"window": 64, "kinds": ("window", "full")},
        ),
        ({"hidden_act": "gelu_pytorch_tanh"}, {"activation": "gelu_tanh"}),
        ({"hidden_act": "relu2"}, {"activation": "relu2"}),
        # Granite scales scores by 1 where its file says nothing.
        ({"model_type": "granite"}, {"attention_scale": 1.0}),
        (
            {"model_type": "granite", "attention_multiplier": 0.015625, "logits_scaling": 8.0},
            {"attention_scale": 0.015625, "logit_scale": 0.125},
        ),
        (
            {"model_type": "granite", "embedding_multiplier": 12.0, "residual_multiplier": 0.22},
            {"attention_scale": 1.0, "embedding_scale": 12.0, "residual_scale": 0.22},
        ),
    ],
)
def test_hf_read(tmp_path, plain_hf, config, changes):
    """What was found changes the model, and nothing else does."""
    shape = hf_model.read(hf_files.write(tmp_path / "m", config=config)).shape
    assert differing(shape, plain_hf) in changes
    assert differing(shape, replace(plain_hf, **changes)) is None


def test_hf_biases(tmp_path, plain_hf):
    sizes = {"self_attn.q": 128, "self_attn.k": 64, "self_attn.v": 64, "self_attn.o": 64}
    more = {
        f"model.layers.{n}.{name}_proj.bias": np.arange(size, dtype=np.float32) + n
        for n in range(2)
        for name, size in sizes.items()
    }
    model = hf_model.read(
        hf_files.write(tmp_path / "m", config={"attention_bias": True}, more=more)
    )
    assert model.shape == replace(plain_hf, biased=frozenset("qkvo"))
    for n, layer in enumerate(model.layers):
        for name, size in sizes.items():
            found = layer.vectors[f"{name[-1]}_bias"]
            np.testing.assert_array_equal(found, np.arange(size) + n)


@pytest.mark.parametrize(
    "config",
    [
        {"sliding_window": 128, "use_sliding_window": False},
        {"sliding_window": 256},
        {"partial_rotary_factor": 1.0},
        {"rope_parameters": {"rope_type": "default", **ROPE}},
        {"rope_scaling": {"rope_type": "default"}},
        {"layer_types": ["full_attention"] * 2},
        {"num_experts": 0},
        {"logits_scaling": 1},
        {"torch_dtype": "bfloat16", "use_cache": True, "initializer_range": 0.02},
    ],
)
def test_hf_taken(tmp_path, config):
    assert message(hf_model.read, hf_files.write(tmp_path / "m", config=config)) is None


@pytest.mark.parametrize(
    "name",
    [
        "self_attn.q_norm.weight",
        "self_attn.q_proj.bias",
        "mlp.down_proj.bias",
        "pre_feedforward_layernorm.weight",
        "self_attn.sinks",
    ],
)
def test_hf_tensors(tmp_path, name):
    name = f"model.layers.1.{name}"
    folder = hf_files.write(tmp_path / "m", more={name: norm()})
    assert f"tensor '{name}' has no place in a Llama of 2 layers" in message(hf_model.read, folder)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_tied_heads(tmp_path, dtype):
    """A head beside a tied embedding must equal it."""
    head = hf_files.tensors()["model.embed_tokens.weight"]
    folder = hf_files.write(tmp_path / "same", dtype=dtype, more={"lm_head.weight": head})
    assert hf_model.read(folder).tied
    head[5, 7] += 0.25
    folder = hf_files.write(tmp_path / "other", dtype=dtype, more={"lm_head.weight": head})
    assert (
        ": 'tie_word_embeddings' must be false, or 'lm_head.weight' equal to the embedding"
        in message(hf_model.read, folder)
    )
