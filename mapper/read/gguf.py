"""Read models from GGUF files."""

import hashlib
import json
from pathlib import Path

import numpy as np

from host.errors import UserError
from sw_ref.graph import Linear, Rope

from .. import variants
from ..families import FAMILIES, Hyperparameters, family_of, known
from ..model import Layer, Layers, Model, half_split
from .bounds import brief
from .gguf_file import File


__all__ = ["read"]


ADD_BOS = ("llama-bpe",)  # pre-tokenizers with which llama.cpp adds BOS if the file is silent


def architecture(file):
    """The architecture of a whole model, and the name of its family."""
    arch = file.of_type("general.architecture", str)
    family = family_of("gguf", arch)
    if family is None:
        raise UserError(
            f"{file.path}: the architecture must be {known('gguf')}, not {brief(arch)}; "
            "others are not mapped yet"
        )
    parts = file.integer("split.count", 0, 65535, default=1)
    if parts > 1:
        raise UserError(
            f"{file.path}: the model must be in one file, this is one of {parts}; "
            "merge them, as llama-gguf-split --merge does"
        )
    return arch, family


def hyperparameters(file, arch):
    """The model's :class:`~mapper.families.Hyperparameters`."""
    heads = file.integer(f"{arch}.attention.head_count", 1, 4096)
    hidden = file.integer(f"{arch}.embedding_length", 1, 1 << 20)
    head_dim = file.integer(
        f"{arch}.attention.key_length", 1, 4096, default=max(1, hidden // heads)
    )
    rope = file.integer(f"{arch}.rope.dimension_count", 1, 4096, default=head_dim)
    value = file.integer(f"{arch}.attention.value_length", 1, 4096, default=head_dim)
    if (rope, value) != (head_dim, head_dim):
        raise UserError(
            f"{file.path}: RoPE and value dimensions must be the head's {head_dim}, not "
            f"{rope} and {value}; this model cannot be mapped yet"
        )
    embedding = file.tensors.get("token_embd.weight")
    rows = embedding.shape[0] if embedding else 1
    return Hyperparameters(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        kv_heads=file.integer(f"{arch}.attention.head_count_kv", 1, heads, default=heads),
        ffn=file.integer(f"{arch}.feed_forward_length", 1, 1 << 20),
        layers=file.integer(f"{arch}.block_count", 1, 1024),
        vocab=file.integer(f"{arch}.vocab_size", 1, 1 << 20, default=rows),
        rope_theta=file.of_type(f"{arch}.rope.freq_base", float, default=10000.0),
        rms_eps=file.of_type(f"{arch}.attention.layer_norm_rms_epsilon", float),
    )


def row_orders(family, graph, shapes):
    """Orders of rows that a file does not have as the machine has them, by the matrix's name."""
    orders, makers = {}, {node.name: node for node in graph}
    for node in graph:
        if family.neighbours and isinstance(node, Rope):
            product = makers[node.inputs[0]]
            if not isinstance(product, Linear):
                raise ValueError(
                    f"{node.name!r} must rotate a product, whose rows can be put in order, not "
                    f"{product.name!r}"
                )
            heads = shapes[product.weight][0] // node.head_dim
            orders[product.weight] = half_split(heads, node.head_dim)
    return orders


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
    arch, name = architecture(file)
    family = FAMILIES[name]
    context = file.integer(f"{arch}.context_length", 1, (1 << 24) - 1)
    variants.gguf_metadata(path, arch, file.metadata, context)
    sizes = hyperparameters(file, arch)
    vocab, hidden = sizes.vocab, sizes.hidden
    graph, shapes = family.graph(sizes), family.shapes(sizes)

    embedding = file.find("token_embd.weight", (vocab, hidden))
    norm = file.find("output_norm.weight", (hidden,))
    head = file.find("output.weight", (vocab, hidden)) if "output.weight" in file.tensors else None
    found = [
        [
            {n: file.find(f"blk.{i}.{its.gguf}.weight", shapes[n]) for n, its in names.items()}
            for names in (family.linears, family.norms)
        ]
        for i in range(sizes.layers)
    ]
    used = {"token_embd.weight", "output_norm.weight", "output.weight"}
    used |= {t.name for parts in found for part in parts for t in part.values()}
    for tensor in file.tensors:
        if tensor not in used:
            raise UserError(
                f"{path}: tensor {brief(tensor)} has no place in a {name.capitalize()} of "
                f"{sizes.layers} layers without biases and with unscaled RoPE; this model cannot "
                "be mapped"
            )

    order = row_orders(family, graph, shapes)

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
        context=context,
        eos=eos,
        bos=bos,
        tokenizer=tokenizer_json(file, vocab),
        chat_template=file.of_type("tokenizer.chat_template", str, default="") or None,
        norm=file.floats(norm),
        load_embedding=lambda: file.linear(embedding),
        load_head=None if head is None else lambda: file.linear(head),
        layers=Layers(sizes.layers, load),
        family=name,
        **sizes.of_model(),
    )
