"""Read models of all families from GGUF files; the file itself is :mod:`.gguf_container`'s."""

import hashlib
from pathlib import Path
from typing import Any

from host.errors import UserError

from .. import variants
from ..families import Hyperparameters
from ..model import Layer, Layers, Model, half_split
from .bounds import brief
from .gguf_container import File
from .gguf_tokenizer import special_tokens, tokenizer_json


__all__ = ["read"]


def family_of(file):
    """The family of a file, which must hold a whole model."""
    family = variants.gguf_family(file.path, file.of_type("general.architecture", str))
    parts = file.integer("split.count", 0, 65535, default=1)
    if parts > 1:
        raise UserError(
            f"{file.path}: the model must be in one file, this is one of {parts}; "
            "merge them, as llama-gguf-split --merge does"
        )
    return family


def read(path):
    """Read the :class:`Model` in a GGUF file. Matrices are read when they are asked for."""
    file = File(path)
    family = family_of(file)
    arch = family.gguf
    context = file.integer(f"{arch}.context_length", 1, (1 << 24) - 1)
    variants.gguf_metadata(path, file.metadata, context, family)
    heads = file.integer(f"{arch}.attention.head_count", 1, 4096)
    hidden = file.integer(f"{arch}.embedding_length", 1, 1 << 20)
    head_dim = file.integer(
        f"{arch}.attention.key_length", 1, 4096, default=max(1, hidden // heads)
    )
    rope = file.integer(f"{arch}.rope.dimension_count", 1, 4096, default=head_dim)
    shape: dict[str, Any]
    shape = dict(
        hidden=hidden,
        heads=heads,
        head_dim=head_dim,
        kv_heads=file.integer(f"{arch}.attention.head_count_kv", 1, heads, default=heads),
        ffn=file.integer(f"{arch}.feed_forward_length", 1, 1 << 20),
    )
    value = file.integer(f"{arch}.attention.value_length", 1, 4096, default=head_dim)
    if (rope, value) != (head_dim, head_dim):
        raise UserError(
            f"{path}: RoPE and value dimensions must be the head's {head_dim}, not "
            f"{rope} and {value}; this model cannot be mapped yet"
        )
    layers = file.integer(f"{arch}.block_count", 1, 1024)
    embedding = file.tensors.get("token_embd.weight")
    vocab = file.integer(
        f"{arch}.vocab_size", 1, 1 << 20, default=embedding.shape[0] if embedding else 1
    )

    embedding = file.find("token_embd.weight", (vocab, hidden))
    norm = file.find("output_norm.weight", (hidden,))
    head = file.find("output.weight", (vocab, hidden)) if "output.weight" in file.tensors else None
    shape |= dict(
        vocab=vocab,
        rope_theta=file.of_type(f"{arch}.rope.freq_base", float, default=10000.0),
        rms_eps=file.of_type(f"{arch}.attention.layer_norm_rms_epsilon", float),
    )
    shapes = family.graph(Hyperparameters(layers=layers, **shape)).layer_shapes
    found = [
        tuple(
            {n: file.find(f"blk.{i}.{names.gguf}.weight", shapes[n]) for n, names in kind.items()}
            for kind in (family.linears, family.norms)
        )
        for i in range(layers)
    ]
    used = {"token_embd.weight", "output_norm.weight", "output.weight"}
    used |= {t.name for parts in found for part in parts for t in part.values()}
    products = [t for linears, _ in found for t in linears.values()] + ([head] if head else [])
    used |= {name for t in products for name in file.beside(t)}
    for name in file.tensors:
        if name not in used:
            raise UserError(
                f"{path}: tensor {brief(name)} has no place in a {family.title} of {layers} "
                "layers without biases and with unscaled RoPE; this model cannot be "
                "mapped"
            )

    order = {n: half_split(shapes[n][0] // head_dim, head_dim) for n in family.interleaved}

    def load(index):
        linears, norms = found[index]
        return Layer(
            linears={n: file.linear(t, order.get(n)) for n, t in linears.items()},
            gains={n: file.floats(t) for n, t in norms.items()},
        )

    def formats(index):
        return {n: file.format(t) for n, t in found[index][0].items()}

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
        layers=Layers(layers, load, formats),
        norm=file.floats(norm),
        load_embedding=lambda: file.linear(embedding),
        load_head=None if head is None else lambda: file.linear(head),
        family=family.name,
        **shape,
    )
