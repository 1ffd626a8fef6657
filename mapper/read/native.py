"""Write a model in the machine's own numbers: the folder that :mod:`mapper.read.hf_model` reads
back as it is.
"""

import json
import os
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from host.errors import UserError
from rtl.spec.isa import WeightFormat

from ..families import FAMILIES
from .hf_quantized.headrace import METHOD


__all__ = ["save"]


def by_row(linear):
    """Integers and one scale per row of a matrix. One with scales of groups, as an embedding's, is
    rounded to bytes of its rows."""
    if linear.by_row:
        return linear.codes, linear.d[:, 0]
    weights = linear.float32()
    scale = np.abs(weights).max(1) / np.float32(127)
    codes = np.rint(weights / np.where(scale > 0, scale, 1)[:, None]).clip(-127, 127)
    return codes.astype(np.int8), scale


def tensors(model):
    """Tensors of a model by their Hugging Face names, and the format of its layers."""
    out, formats, family = {}, set(), FAMILIES[model.family]

    def add(name, linear):
        codes, scale = by_row(linear)
        out[name], out[f"{name}_scale"] = np.ascontiguousarray(codes), np.ascontiguousarray(scale)

    for n, layer in enumerate(model.layers):
        for part, names in family.linears.items():
            formats.add(layer.linears[part].format)
            add(f"model.layers.{n}.{names.hf}.weight", layer.linears[part])
        for part, names in family.norms.items():
            out[f"model.layers.{n}.{names.hf}.weight"] = layer.vectors[part]
    add("model.embed_tokens.weight", model.embedding)
    if not model.tied:
        add("lm_head.weight", model.head)
    out["model.norm.weight"] = model.norm
    if len(formats) != 1:
        raise UserError(
            f"{model.path}: layers must have one format, not "
            f"{', '.join(sorted(f.name for f in formats))}"
        )
    return out, formats.pop()


def configuration(model, fmt: WeightFormat):
    """What `config.json` says."""
    family = FAMILIES[model.family]
    return {
        "architectures": [f"{family.title}ForCausalLM"],
        "model_type": family.hf,
        "hidden_act": "silu",
        **{key: values[0] for key, values in family.hf_fields.items()},
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocab,
        "max_position_embeddings": model.context,
        "rms_norm_eps": model.rms_eps,
        "rope_theta": model.rope_theta,
        "tie_word_embeddings": model.tied,
        "bos_token_id": model.bos,
        "eos_token_id": list(model.eos),
        "quantization_config": {"quant_method": METHOD, "format": fmt.name.lower()},
    }


def save(model, folder, tokenizer_json):
    """Write a :class:`~mapper.model.Model` to a new folder, all of it or nothing.

    `tokenizer_json` is the text of the Hugging Face file of that name.
    """
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder}: exists already; give a new folder")
    weights, fmt = tensors(model)
    tokenizer = {"add_bos_token": model.bos is not None}
    if model.chat_template is not None:
        tokenizer["chat_template"] = model.chat_template
    part = folder.with_name(folder.name + ".part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        for name, value in (
            ("config.json", configuration(model, fmt)),
            ("tokenizer_config.json", tokenizer),
        ):
            (part / name).write_text(json.dumps(value, indent=2) + "\n", "utf-8")
        (part / "tokenizer.json").write_text(tokenizer_json, "utf-8")
        save_file(weights, part / "model.safetensors", {"format": "pt"})
        os.replace(part, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
