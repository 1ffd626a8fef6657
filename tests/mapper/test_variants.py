"""What makes a model compute something else is refused by name; what does nothing is taken."""

import numpy as np
import pytest
from gguf import GGUFValueType as Value

from host.errors import UserError
from mapper.read import gguf_model, hf_model

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
        ("rope.scaling.type", "linear", "'none'"),
        ("rope.scaling.type", "yarn", "'none'"),
        ("rope.scaling.type", "longrope", "'none'"),
        ("rope.scaling.type", 1, "'none'"),
        ("rope.scaling.factor", 4.0, "1.0"),
        ("rope.scale_linear", 2.0, "1.0"),
        ("rope.scaling.attn_factor", 1.2, "1.0"),
        ("attention.sliding_window", 128, "at least the context, 256"),
        ("attention.sliding_window", "all", "at least the context, 256"),
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
        "rope_freqs.weight",
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
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0}},
            "'type' must be 'default', not 'linear'",
        ),
        ({"rope_scaling": {"rope_type": "llama3"}}, "'rope_type' must be 'default', not 'llama3'"),
        ({"rope_scaling": {"factor": 2.0}}, "'rope_scaling' must be without 'factor', not "),
        ({"rope_scaling": "linear"}, "'rope_scaling' must be a JSON object, not 'linear'"),
        (
            {"rope_parameters": {"type": "linear", "factor": 2.0, **ROPE}},
            "'type' must be 'default', not 'linear'",
        ),
        (
            {"rope_parameters": {"rope_type": "yarn", **ROPE}},
            "'rope_type' must be 'default', not 'yarn'",
        ),
        (
            {"rope_parameters": {"full_attention": ROPE}},
            "'rope_parameters' must be without 'full_attention', not ",
        ),
        (
            {"rope_parameters": {"partial_rotary_factor": 0.5, **ROPE}},
            "'partial_rotary_factor' must be 1.0, not 0.5",
        ),
        (
            {"rope_parameters": {"rope_theta": 5e5}},
            "'rope_theta' must be one number, not 10000.0 and, in 'rope_parameters', 500000.0",
        ),
        ({"partial_rotary_factor": 0.25}, "'partial_rotary_factor' must be 1.0, not 0.25"),
        ({"sliding_window": 128}, "'sliding_window' must be at least the context, 256, not 128"),
        (
            {"sliding_window": 128, "use_sliding_window": True},
            "'sliding_window' must be at least the context, 256",
        ),
        (
            {"sliding_window": "128"},
            "'sliding_window' must be at least the context, 256, not '128'",
        ),
        (
            {"layer_types": ["sliding_attention", "full_attention"]},
            "'layer_types' must be 'full_attention' for all ",
        ),
        ({"attention_bias": True}, "'attention_bias' must be False, not True"),
        ({"mlp_bias": True}, "'mlp_bias' must be False, not True"),
        (
            {"hidden_act": "gelu_pytorch_tanh"},
            "'hidden_act' must be 'silu', not 'gelu_pytorch_tanh'",
        ),
        (
            {"model_type": "gpt2", "max_position_embeddings": None},
            f"'model_type' must be {hf_files.KINDS}, not 'gpt2'",
        ),
        ({"model_type": "granite"}, f"'model_type' must be {hf_files.KINDS}, not 'granite'"),
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
        ({"tie_word_embeddings": "yes"}, "'tie_word_embeddings' must be true or false, not 'yes'"),
    ],
)
def test_hf_refused(tmp_path, config, expected):
    assert expected in message(hf_model.read, hf_files.write(tmp_path / "m", config=config))


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
