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
from ..families.common import ACTIVATIONS
from .bounds import brief
from .fields import Fields
from .hf_quantized.headrace import METHOD
from .hyperparameters import differing, hyperparameters
from .row_order import row_order


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

    def named(tensor, n=None):
        names, suffix = family.file_names(tensor)
        return ("" if n is None else f"{family.hf_layers}.{n}.") + f"{names.hf}.{suffix}"

    def in_file_order(tensor, values):
        order = row_order(family, model.shape, tensor, family.hf_interleaved)
        return np.ascontiguousarray(values if order is None else values[np.argsort(order)])

    def add(tensor, linear, n=None):
        for ending, values in zip(("", "_scale"), by_row(linear)):
            out[named(tensor, n) + ending] = in_file_order(tensor, values)

    def add_vector(tensor, values, n=None):
        if tensor in family.norms or tensor == "norm":
            values = values - np.float32(family.hf_gain_offset)
        out[named(tensor, n)] = in_file_order(tensor, values)

    for n, layer in enumerate(model.layers):
        for tensor, linear in layer.linears.items():
            formats.add(linear.format)
            add(tensor, linear, n)
        for tensor, values in layer.vectors.items():
            add_vector(tensor, values, n)
    add("embedding", model.embedding)
    if not model.tied:
        add("head", model.head)
    for tensor, values in model.outside.items():
        add_vector(tensor, values)
    if len(formats) != 1:
        raise UserError(
            f"{model.path}: layers must have one format, not "
            f"{', '.join(sorted(f.name for f in formats))}"
        )
    return out, formats.pop()


def configuration(model, fmt: WeightFormat):
    """What `config.json` says. Raises :exc:`~host.errors.UserError` where the model is more than
    that, as one with a window is, since it would be read back as another."""
    family = FAMILIES[model.family]
    if not family.hf or family.hf_transposed:
        raise UserError(f"{model.path}: a {family.title} cannot be written as a folder of integers")
    config = {
        "architectures": [f"{family.title}ForCausalLM"],
        "model_type": family.called("hf")[0],
        "hidden_act": next(k for k, v in ACTIVATIONS.items() if v == model.shape.activation),
        "hidden_size": model.hidden,
        "intermediate_size": model.ffn,
        "num_hidden_layers": len(model.layers),
        "num_attention_heads": model.heads,
        "num_key_value_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocab,
        "max_position_embeddings": model.context,
        "rms_norm_eps": model.shape.norm_eps,
        **({} if model.shape.rope is None else {"rope_theta": model.shape.rope.theta}),
        "tie_word_embeddings": model.tied,
        "bos_token_id": model.bos,
        "eos_token_id": list(model.eos),
        "quantization_config": {"quant_method": METHOD, "format": fmt.name.lower()},
    }
    found = hyperparameters(family, Fields(model.path, config), model.vocab)
    name = differing(model.shape, found)
    if name is not None:
        raise UserError(
            f"{model.path}: {name!r} must be {brief(getattr(found, name))} where a {family.title} "
            f"is written as a folder of integers, not {brief(getattr(model.shape, name))}"
        )
    return config


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
