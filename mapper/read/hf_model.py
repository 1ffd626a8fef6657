"""Read models of all families from a Hugging Face folder: `config.json` and safetensors.

Weights are floats, which are rounded here, or they are as a quantizer wrote them, which the entry
``quantization_config`` of `config.json` says: :mod:`.hf_quantized` lists what is read.
"""

from itertools import accumulate, pairwise
from typing import Any

from host.errors import UserError

from .. import variants
from ..families import Hyperparameters
from ..model import ODD, Layer, Layers, Model
from .bounds import brief
from .hf_folder import Folder
from .hf_quantized import layout_of
from .hf_tokenizer import chat_template, first, tokenizer_json


__all__ = ["layer_matrices", "read"]


BITS = (*sorted(ODD), 8)  # that floats can be rounded to


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


def layer_matrices(folder, layout, family, prefix, shapes, bits):
    """The matrices of a layer: pairs of a :class:`~.hf_quantized.Matrix` and the rows of it that
    each of the graph's matrices has, by name."""
    found = []
    parts = {names.hf: (name,) for name, names in family.linears.items()}
    for module, names in family.fused.items():
        if prefix + module in folder.modules:
            parts = {m: its for m, its in parts.items() if its[0] not in names} | {module: names}
    for module, names in parts.items():
        ends = list(accumulate(shapes[name][0] for name in names))
        shape = ends[-1], shapes[names[0]][1]
        rows = {name: slice(*span) for name, span in zip(names, pairwise([0, *ends]))}
        found.append((layout.matrix(prefix + module, shape, bits), rows))
    return found


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
    layout = layout_of(folder)
    found = [
        (
            layer_matrices(folder, layout, family, f"model.layers.{i}.", shapes, bits),
            {
                n: folder.find(f"model.layers.{i}.{names.hf}.weight", shapes[n])
                for n, names in family.norms.items()
            },
        )
        for i in range(count)
    ]
    embedding = head = layout.matrix("model.embed_tokens", (vocab, hidden), 8)
    tied = folder.flag(folder.config, "tie_word_embeddings")
    if not tied or "lm_head" in folder.modules:
        head = layout.matrix("lm_head", (vocab, hidden), 8)
    if tied and not head.same(embedding):
        raise UserError(
            f"{folder.file}: 'tie_word_embeddings' must be false, or 'lm_head.weight' "
            "equal to the embedding, not true beside another; correct the one that is "
            "wrong"
        )
    norm = folder.find("model.norm.weight", (hidden,))
    used = {"model.norm.weight", *(t.name for t in (*embedding.tensors, *head.tensors))}
    for linears, norms in found:
        used |= {t.name for matrix, _ in linears for t in matrix.tensors}
        used |= {t.name for t in norms.values()}
    for name in folder.tensors:
        if name not in used and not name.endswith("rotary_emb.inv_freq"):
            raise UserError(
                f"{folder.tensors[name].path}: tensor {brief(name)} has no place in a "
                f"{family.title} of {count} layers without biases; this model cannot be mapped"
            )

    def load(index):
        linears, (matrices, norms) = {}, found[index]
        for matrix, parts in matrices:
            whole = matrix.load()
            for name, rows in parts.items():
                linears[name] = whole if len(parts) == 1 else whole.part(rows)
        return Layer(linears=linears, gains={n: t.floats() for n, t in norms.items()})

    def formats(index):
        return {name: matrix.format for matrix, parts in found[index][0] for name in parts}

    about = folder.optional("tokenizer_config.json")
    template = chat_template(folder, about)
    bos, eos = (folder.special(key, vocab) for key in ("bos_token_id", "eos_token_id"))
    eos = folder.special("eos_token_id", vocab, folder.optional("generation_config.json")) or eos
    tokenizer = tokenizer_json(folder, about, eos[0] if eos else None)
    return Model(
        name=folder.path.resolve().name,
        path=str(path),
        sha256=folder.sha256,
        context=context,
        eos=eos,
        bos=first(folder, about, bos),
        chat_template=template,
        tokenizer=tokenizer,
        layers=Layers(count, load, formats),
        norm=norm.floats(),
        load_embedding=embedding.load,
        load_head=None if tied else head.load,
        family=family.name,
        **shape,
    )
