"""Read models of all families from a Hugging Face folder: `config.json` and safetensors.

Weights are floats, which are rounded here, or they are in the machine's own numbers, for models
that were trained in them. Then `config.json` has the entry ``"quantization_config":
{"quant_method": "headrace", "format": "ternary"}``, with a format of :mod:`rtl.spec.formats` in
small letters; each matrix is a tensor of int8 integers, and beside `NAME` there is `NAME_scale`,
one float per row. A weight is integer * scale, in every format: the integers of ``u2``, for one,
are -3, -1, 1 and 3. The embedding and the head have the integers of ``s8``.
"""

import json
from typing import Any

import numpy as np

from host.errors import UserError
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .. import variants
from ..families import Hyperparameters
from ..model import ODD, Layer, Layers, Linear, Model, round_s8, round_u
from .bounds import brief, check_values
from .hf_folder import Folder


__all__ = ["read"]


BITS = (*sorted(ODD), 8)  # that floats can be rounded to


def chat_template(folder, about):
    """The text of the chat template, or None. `about` is `tokenizer_config.json`, which may hold
    one or a list of them with names."""
    if (folder.path / "chat_template.jinja").exists():
        return folder.content("chat_template.jinja").decode("utf-8", "replace")
    template = about.get("chat_template")
    if isinstance(template, list) and all(isinstance(entry, dict) for entry in template):
        template = next(
            (entry.get("template") for entry in template if entry.get("name") == "default"), None
        )
    if not isinstance(template, str | None):
        raise UserError(
            f"{folder.path}: 'chat_template' must be text, or a list of objects with "
            f"'name' and 'template', not {brief(template)}"
        )
    return template


def rope_theta(folder):
    """RoPE's base, from either place that configurations have it in."""
    config = folder.config
    for name in "rope_parameters", "rope_scaling":
        inner, outer = (config.get(name) or {}).get("rope_theta"), config.get("rope_theta")
        if inner is not None and outer not in (None, inner):
            raise UserError(
                f"{folder.file}: 'rope_theta' must be one number, not {brief(outer)} "
                f"and, in {name!r}, {brief(inner)}"
            )
        config["rope_theta"] = outer if inner is None else inner
    return folder.number("rope_theta", float, 10000.0)


def looked_up(table, codes):
    """What a table has for each of int8 codes, 256 entries of a byte each in the order of uint8.

    A whole model's weights pass through here, and indexing takes several times as long.
    """
    found = bytearray(codes.tobytes().translate(table.tobytes()))
    return np.frombuffer(found, table.dtype).reshape(codes.shape)


def integers(tensor, scale, fmt):
    """A matrix in the machine's own integers of a format."""
    codes = tensor.raw(["I8"], "weights of this 'quant_method' are integers")
    its, every = FORMATS[fmt], np.arange(256).astype(np.int8)
    allowed = np.unique(its.grid(its.every_code))
    low, high = allowed[0], allowed[-1]
    outside = looked_up(~np.isin(every, allowed), codes)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        steps = set(np.diff(allowed).tolist())
        what = {1: f"integers from {low} to {high}", 2: f"odd integers from {low} to {high}"}.get(
            max(steps) if len(steps) == 1 else 0, f"integers of {', '.join(map(str, allowed))}"
        )
        raise UserError(
            f"{tensor.path}: tensor {tensor.name!r} must have {what}, as "
            f"{fmt.name.lower()} has, not {codes[row, column]} in row {row}, column {column}"
        )
    codes = looked_up(its.nearest(every), codes)
    d = scale.floats()
    check_values(scale.path, f"{tensor.name} times its scale", d.astype(np.float64) * low)
    return Linear(name=tensor.name, source=fmt.name, format=fmt, codes=codes, d=d[:, None])


def rounded(tensor, bits):
    """A matrix of floats, rounded."""
    if bits == 8:
        return round_s8(tensor.name, tensor.dtype, tensor.floats())
    return round_u(tensor.name, tensor.dtype, tensor.floats(), bits)


def read(path, bits=8):
    """Read the :class:`Model` in a folder, its weights, where they are floats, rounded to `bits`
    bits.

    The embedding and the head are always rounded to 8.
    """
    if bits not in BITS:
        raise UserError(
            f"{path}: weights must be rounded to {', '.join(map(str, BITS))} bits, not {bits}"
        )
    folder = Folder(path)
    family = variants.hf_family(folder.file, folder.config)
    variants.hf_config(folder.file, folder.config, family)
    context = folder.number("max_position_embeddings")
    variants.hf_window(folder.file, folder.config, context)
    hidden, heads = folder.number("hidden_size"), folder.number("num_attention_heads")
    shape: dict[str, Any]
    shape = dict(
        hidden=hidden,
        heads=heads,
        ffn=folder.number("intermediate_size"),
        kv_heads=folder.number("num_key_value_heads", default=heads),
        head_dim=folder.number("head_dim", default=max(1, hidden // heads)),
    )
    vocab, count = folder.number("vocab_size"), folder.number("num_hidden_layers")
    if count > 1024:
        raise UserError(f"{folder.file}: 'num_hidden_layers' must be at most 1024, not {count}")

    shape |= dict(
        vocab=vocab, rope_theta=rope_theta(folder), rms_eps=folder.number("rms_norm_eps", float)
    )
    shapes = family.graph(Hyperparameters(layers=count, **shape)).layer_shapes
    found = [
        (
            {
                n: folder.matrix(f"model.layers.{i}.{names.hf}.weight", shapes[n])
                for n, names in family.linears.items()
            },
            {
                n: folder.find(f"model.layers.{i}.{names.hf}.weight", shapes[n])
                for n, names in family.norms.items()
            },
        )
        for i in range(count)
    ]
    embedding = folder.matrix("model.embed_tokens.weight", (vocab, hidden))
    tied, head = folder.flag(folder.config, "tie_word_embeddings"), []
    if not tied or "lm_head.weight" in folder.tensors:
        head = folder.matrix("lm_head.weight", (vocab, hidden))
    if tied and not all(a.same(b) for a, b in zip(head, embedding)):
        raise UserError(
            f"{folder.file}: 'tie_word_embeddings' must be false, or 'lm_head.weight' "
            "equal to the embedding, not true beside another; correct the one that is "
            "wrong"
        )
    norm = folder.find("model.norm.weight", (hidden,))
    used = {"model.norm.weight", *(t.name for t in (*embedding, *head))}
    for linears, norms in found:
        used |= {t.name for tensors in linears.values() for t in tensors} | {
            t.name for t in norms.values()
        }
    for name in folder.tensors:
        if name not in used and not name.endswith("rotary_emb.inv_freq"):
            raise UserError(
                f"{folder.tensors[name].path}: tensor {brief(name)} has no place in a "
                f"{family.title} of {count} layers without biases; this model cannot be mapped"
            )

    def matrix(tensors, fmt, bits):
        if fmt is None:
            return rounded(tensors[0], bits)
        weight, scale = tensors
        return integers(weight, scale, fmt)

    def vocabulary(tensors):
        return matrix(tensors, None if folder.native is None else WeightFormat.S8, 8)

    def load(index):
        linears, norms = found[index]
        return Layer(
            linears={n: matrix(t, folder.native, bits) for n, t in linears.items()},
            gains={n: t.floats() for n, t in norms.items()},
        )

    def formats(index):
        rounded_to = WeightFormat.S8 if bits == 8 else ODD[bits]
        return dict.fromkeys(family.linears, rounded_to if folder.native is None else folder.native)

    about = folder.optional("tokenizer_config.json")
    template = chat_template(folder, about)
    bos, eos = (folder.special(key, vocab) for key in ("bos_token_id", "eos_token_id"))
    eos = folder.special("eos_token_id", vocab, folder.optional("generation_config.json")) or eos
    tokenizer = json.dumps({"huggingface": folder.json("tokenizer.json")}, ensure_ascii=False)
    return Model(
        name=folder.path.resolve().name,
        path=str(path),
        sha256=folder.sha256,
        context=context,
        eos=eos,
        bos=bos[0] if folder.flag(about, "add_bos_token") and bos else None,
        chat_template=template,
        tokenizer=tokenizer,
        layers=Layers(count, load, formats),
        norm=norm.floats(),
        load_embedding=lambda: vocabulary(embedding),
        load_head=None if tied else lambda: vocabulary(head),
        family=family.name,
        **shape,
    )
