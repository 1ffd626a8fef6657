"""Read Llama-family models from GGUF files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from host.errors import UserError

from .. import variants
from ..families import FAMILIES
from ..model import Layer, Layers, Model, half_split
from .bounds import brief
from .gguf_file import File


__all__ = ["read"]


LAYER_TENSORS = {name: names.gguf for name, names in FAMILIES["llama"].linears.items()}
NORMS = {name: names.gguf for name, names in FAMILIES["llama"].norms.items()}
ADD_BOS = ("llama-bpe",)  # pre-tokenizers with which llama.cpp adds BOS if the file is silent


def check_architecture(file):
    """Refuse a file that is no whole Llama."""
    arch = file.of_type("general.architecture", str)
    if arch != "llama":
        raise UserError(
            f"{file.path}: the architecture must be 'llama', not {brief(arch)}; "
            "others are not mapped yet"
        )
    parts = file.integer("split.count", 0, 65535, default=1)
    if parts > 1:
        raise UserError(
            f"{file.path}: the model must be in one file, this is one of {parts}; "
            "merge them, as llama-gguf-split --merge does"
        )


def tokenizer_json(file, vocab):
    """What :meth:`host.language.tokenizer.Tokenizer.from_json` needs of the metadata."""
    key = "tokenizer.ggml."
    tokens = file.of_type(key + "tokens", list)
    types = file.of_type(key + "token_type", np.ndarray, default=np.ones(len(tokens), int))
    if types.dtype.kind not in "iu":
        raise UserError(
            f"{file.path}: metadata '{key}token_type' must be integers, not {types.dtype}"
        )
    for name, count in ("tokens", len(tokens)), ("token_type", len(types)):
        if count != vocab:
            raise UserError(
                f"{file.path}: metadata '{key}{name}' must be as many as the "
                f"embedding's {vocab} rows, not {count}"
            )
    return json.dumps(
        {
            "gguf": {
                "model": file.of_type(key + "model", str),
                "pre": file.of_type(key + "pre", str, default="default"),
                "tokens": tokens,
                "types": types.tolist(),
                "merges": file.of_type(key + "merges", list, default=[]),
            }
        },
        ensure_ascii=False,
    )


def special_tokens(file, vocab):
    """(tokens that end an answer, token before every prompt or None)."""
    key, ends = "tokenizer.ggml.", []
    pre = file.of_type(key + "pre", str, default="default")
    for name in ("eos_token_id", "eot_token_id"):
        if key + name in file.metadata:
            ends.append(file.integer(key + name, 0, vocab - 1))
    bos = None
    if file.of_type(key + "add_bos_token", bool, default=pre in ADD_BOS):
        bos = file.integer(key + "bos_token_id", 0, vocab - 1)
    return tuple(dict.fromkeys(ends)), bos


def read(path):
    """Read the :class:`Model` in a GGUF file. Matrices are read when they are asked for."""
    file = File(path)
    check_architecture(file)
    context = file.integer("llama.context_length", 1, (1 << 24) - 1)
    variants.gguf_metadata(path, file.metadata, context)
    heads = file.integer("llama.attention.head_count", 1, 4096)
    hidden = file.integer("llama.embedding_length", 1, 1 << 20)
    head_dim = file.integer("llama.attention.key_length", 1, 4096, default=max(1, hidden // heads))
    rope = file.integer("llama.rope.dimension_count", 1, 4096, default=head_dim)
    shape: dict[str, Any]
    shape = dict(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        kv_heads=file.integer("llama.attention.head_count_kv", 1, heads, default=heads),
        ffn=file.integer("llama.feed_forward_length", 1, 1 << 20),
    )
    value = file.integer("llama.attention.value_length", 1, 4096, default=head_dim)
    if (rope, value) != (head_dim, head_dim):
        raise UserError(
            f"{path}: RoPE and value dimensions must be the head's {head_dim}, not "
            f"{rope} and {value}; this model cannot be mapped yet"
        )
    layers = file.integer("llama.block_count", 1, 1024)
    embedding = file.tensors.get("token_embd.weight")
    vocab = file.integer(
        "llama.vocab_size", 1, 1 << 20, default=embedding.shape[0] if embedding else 1
    )

    embedding = file.find("token_embd.weight", (vocab, hidden))
    norm = file.find("output_norm.weight", (hidden,))
    head = file.find("output.weight", (vocab, hidden)) if "output.weight" in file.tensors else None
    matrices = Model.shapes(**shape)
    found = [
        (
            {n: file.find(f"blk.{i}.{LAYER_TENSORS[n]}.weight", matrices[n]) for n in matrices},
            {n: file.find(f"blk.{i}.{p}.weight", (hidden,)) for n, p in NORMS.items()},
        )
        for i in range(layers)
    ]
    used = {"token_embd.weight", "output_norm.weight", "output.weight"}
    used |= {t.name for parts in found for part in parts for t in part.values()}
    for name in file.tensors:
        if name not in used:
            raise UserError(
                f"{path}: tensor {brief(name)} has no place in a Llama of {layers} "
                "layers without biases and with unscaled RoPE; this model cannot be "
                "mapped"
            )

    order = {"q": half_split(heads, head_dim), "k": half_split(shape["kv_heads"], head_dim)}

    def load(index):
        linears, norms = found[index]
        return Layer(
            linears={n: file.linear(t, order.get(n)) for n, t in linears.items()},
            gains={n: file.floats(t) for n, t in norms.items()},
        )

    eos, bos = special_tokens(file, vocab)
    return Model(
        name=file.of_type("general.name", str, default=Path(path).stem),
        path=str(path),
        sha256=hashlib.sha256(file.data).hexdigest(),
        vocab=vocab,
        context=context,
        rope_theta=file.of_type("llama.rope.freq_base", float, default=10000.0),
        rms_eps=file.of_type("llama.attention.layer_norm_rms_epsilon", float),
        eos=eos,
        bos=bos,
        tokenizer=tokenizer_json(file, vocab),
        chat_template=file.of_type("tokenizer.chat_template", str, default="") or None,
        layers=Layers(layers, load),
        norm=file.floats(norm),
        load_embedding=lambda: file.linear(embedding),
        load_head=None if head is None else lambda: file.linear(head),
        family="llama",
        **shape,
    )
