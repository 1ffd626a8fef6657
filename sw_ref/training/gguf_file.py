"""A model whose weights are in a tensor type of GGUF, as a GGUF file."""

import json

import gguf
import numpy as np

from . import block_bytes, blocks, rounding


__all__ = ["write"]


PRE = "smollm"  # GGUF's name of the pre-tokenizer of `text.train_tokenizer`: single digits
FILE_TYPES = {"q1_0": "MOSTLY_Q1_0", "q2_k": "MOSTLY_Q2_K", "q3_k": "MOSTLY_Q3_K_S"}
PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tensor_name(name):
    """GGUF's name of a parameter, by PyTorch's."""
    name = name.removesuffix(".weight")
    if not name.startswith("layers."):
        return {"embed_tokens": "token_embd", "norm": "output_norm"}[name] + ".weight"
    _, layer, part = name.split(".", 2)
    return f"blk.{layer}.{PARTS[part]}.weight"


def interleaved(w, head_dim):
    """Rows of Q and K in GGUF's order: those that RoPE turns together are neighbours."""
    return w.unflatten(0, (-1, 2, head_dim // 2)).transpose(1, 2).flatten(0, 2)


def add_metadata(writer, model, name, file_type):
    """Add hyperparameters."""
    shape = model.shape
    writer.add_name(name)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.rms_eps)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocab)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_file_type(file_type)


def add_tokenizer(writer, tokenizer, end):
    """Add the tables of a tokenizer of :func:`.text.train_tokenizer`; `end` ends an address."""
    about = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(about["vocab"], key=about["vocab"].get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(PRE)
    writer.add_token_list(tokens)
    types = gguf.TokenType
    writer.add_token_types([types.CONTROL if t == end else types.NORMAL for t in tokens])
    writer.add_token_merges([" ".join(merge) for merge in about["merges"]])
    writer.add_eos_token_id(about["vocab"][end])
    writer.add_add_bos_token(False)


def write(path, name, model, tokenizer, end):
    """Write the file that :func:`mapper.read.gguf_model.read` takes, of a model of that name."""
    form = model.form
    writer = gguf.GGUFWriter(path, "llama")
    add_metadata(writer, model, name, gguf.LlamaFileType[FILE_TYPES[form]])
    add_tokenizer(writer, tokenizer, end)
    for its, p in model.named_parameters():
        w, kind = p.detach().float(), form
        if p.dim() == 1:
            writer.add_tensor(tensor_name(its), w.numpy())
            continue
        if its == "embed_tokens.weight":
            kind = rounding.vocabulary(form)
        if its.endswith(("q_proj.weight", "k_proj.weight")):
            w = interleaved(w, model.shape.head_dim)
        data = block_bytes.pack(blocks.fit(w, kind), kind)
        number = gguf.GGMLQuantizationType[kind.upper()]
        writer.add_tensor(tensor_name(its), np.ascontiguousarray(data), raw_dtype=number)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
