"""Random models as llama.cpp's converter writes them: names by the library's table, rows in the
order of the architecture's RoPE, keys by the library's writer.

Nothing of the reader is used, so that it is checked by what others know.
"""

import math

import gguf
import numpy as np

from .. import synthetic


__all__ = ["ARCHITECTURES", "write"]


# Hugging Face's `model_type` to GGUF's architecture. llama.cpp has none for Helium.
ARCHITECTURES = {
    "llama": "llama",
    "mistral": "llama",
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "phi3": "phi3",
    "smollm3": "smollm3",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "gemma3_text": "gemma3",
    "olmo2": "olmo2",
    "granite": "granite",
    "stablelm": "stablelm",
    "gpt2": "gpt2",
    "gpt_neox": "gptneox",
    "bitnet": "bitnet",
    "starcoder2": "starcoder2",
}
# What the library's table knows by the names of the first files alone.
RENAMED = {"attn_sub_norm": "inner_attn_ln", "ffn_sub_norm": "ffn_layernorm"}
SIDE_BY_SIDE = ("llama", "smollm3", "granite")  # pairs of RoPE, in what ggml calls NORM
TOKENIZER = {k: v for k, v in synthetic.metadata_of().items() if k.startswith("tokenizer")}


def side_by_side(values, heads):
    """Rows, or elements of a bias, with pairs half a head apart put side by side."""
    half = len(values) // heads // 2
    return values.reshape(heads, 2, half, -1).swapaxes(1, 2).reshape(values.shape)


def heads_together(values, heads):
    """GPT-NeoX's rows, which are q, k and v of each head in turn: those of all heads in turn."""
    return values.reshape(heads, 3, len(values) // heads // 3, -1).swapaxes(0, 1)


def tensor(name, values, c):
    """A tensor's values in the file."""
    arch, gain = ARCHITECTURES[c.model_type], name.endswith("norm.weight")
    if arch in SIDE_BY_SIDE and ".q_proj." in name:
        return side_by_side(values, c.num_attention_heads)
    if arch in SIDE_BY_SIDE and ".k_proj." in name:
        return side_by_side(values, c.num_key_value_heads)
    if arch.startswith("gemma") and gain:
        return values + np.float32(1)
    if arch == "gpt2" and ".c_" in name and values.ndim == 2:
        return values.T
    if ".query_key_value." in name:
        return heads_together(values, c.num_attention_heads).reshape(values.shape)
    return values


def rope(writer, c, head_dim, dim):
    """RoPE's keys, and its tensors."""
    its = c.rope_parameters
    its = its.get("full_attention", its)
    writer.add_rope_freq_base(its["rope_theta"])
    kind, factor = its.get("rope_type", "default"), its.get("factor")
    original = its.get("original_max_position_embeddings")
    if kind == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(factor)
    elif kind == "yarn":
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(factor)
        writer.add_rope_scaling_orig_ctx_len(original)
    elif kind == "llama3":
        frequencies = its["rope_theta"] ** -(np.arange(0, dim, 2, dtype=np.float32) / dim)
        turns = original * frequencies / (2 * math.pi)
        low, high = its["low_freq_factor"], its["high_freq_factor"]
        share = (turns - low) / (high - low)
        factors = np.where(turns < low, factor, 1 / ((1 - share) / factor + share))
        writer.add_tensor("rope_freqs.weight", np.where(turns > high, 1, factors).astype("f4"))
    elif kind == "longrope":
        factor = c.max_position_embeddings / original
        attention = math.sqrt(1 + math.log(factor) / math.log(original))
        writer.add_rope_scaling_attn_factors(attention)
        for length in "long", "short":
            values = np.array(its[f"{length}_factor"], np.float32)
            writer.add_tensor(f"rope_factors_{length}.weight", values)
    if c.model_type == "phi3":
        writer.add_rope_scaling_orig_ctx_len(original or c.max_position_embeddings)


def keys(writer, c):
    """The keys of all architectures, where a configuration has what they say."""
    arch, get = (
        ARCHITECTURES[c.model_type],
        lambda *names: next(
            (v for v in (getattr(c, name, None) for name in names) if v is not None), None
        ),
    )
    heads = c.num_attention_heads
    head_dim = get("head_dim") or c.hidden_size // heads
    for add, value in (
        (writer.add_context_length, c.max_position_embeddings),
        (writer.add_embedding_length, c.hidden_size),
        (writer.add_feed_forward_length, get("intermediate_size", "n_inner") or 4 * c.hidden_size),
        (writer.add_block_count, c.num_hidden_layers),
        (writer.add_head_count, heads),
        (writer.add_head_count_kv, get("num_key_value_heads")),
        (writer.add_layer_norm_rms_eps, get("rms_norm_eps")),
        (writer.add_layer_norm_eps, get("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")),
        (writer.add_attn_logit_softcapping, get("attn_logit_softcapping")),
        (writer.add_final_logit_softcapping, get("final_logit_softcapping")),
        (writer.add_parallel_residual, get("use_parallel_residual")),
        (writer.add_attention_scale, get("attention_multiplier")),
        (writer.add_embedding_scale, get("embedding_multiplier")),
        (writer.add_residual_scale, get("residual_multiplier")),
        (writer.add_logit_scale, get("logits_scaling")),
    ):
        if value is not None:
            add(value)
    if arch in ("phi3", "gemma2", "gemma3"):
        writer.add_sliding_window(get("sliding_window") or 0)
    if getattr(c, "head_dim", None) is not None:
        writer.add_key_length(head_dim)
        writer.add_value_length(head_dim)
    if hasattr(c, "rope_parameters"):
        its = c.rope_parameters
        share = its.get("partial_rotary_factor") or get("partial_rotary_factor", "rotary_pct") or 1
        dim = int(head_dim * share)
        writer.add_rope_dimension_count(dim)
        rope(writer, c, head_dim, dim)


def write(path, model):
    """Write a model of `transformers` in float32."""
    c = model.config
    arch = ARCHITECTURES[c.model_type]
    writer = gguf.GGUFWriter(path, arch)
    keys(writer, c)
    for key, value in TOKENIZER.items():
        writer.add_key_value(key, value, synthetic.VALUES[type(value)])
    which = next(k for k, v in gguf.MODEL_ARCH_NAMES.items() if v == arch)
    names = gguf.get_tensor_name_map(which, c.num_hidden_layers)
    for name, values in model.state_dict().items():
        if name in ("lm_head.weight", "embed_out.weight") and c.tie_word_embeddings:
            continue
        known = name
        for new, old in RENAMED.items():
            known = known.replace(new, old)
        theirs = names.get_name(known, try_suffixes=(".weight", ".bias"))
        assert theirs is not None, f"{name} must have a name in GGUF"
        writer.add_tensor(theirs, np.ascontiguousarray(tensor(name, values.numpy(), c)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
