"""Read models of all families from a Hugging Face folder: `config.json` and safetensors.

Weights are floats, which are rounded here, or they are as a quantizer wrote them, which the entry
``quantization_config`` of `config.json` says: :mod:`.hf_quantized` lists what is read.
"""

import re
from itertools import accumulate

import numpy as np

from host.errors import UserError

from .. import variants
from ..model import ODD, Layer, Layers, Model
from .bounds import brief
from .fields import Fields
from .hf_folder import Folder
from .hf_quantized import layout_of
from .hf_tokenizer import chat_template, first, tokenizer_json
from .hyperparameters import context_of, hyperparameters
from .row_order import heads_apart, row_order


__all__ = ["Tensors", "read"]


BITS = (*sorted(ODD), 8)  # that floats can be rounded to
# Tensors that the code of a model makes anew: masks, and frequencies of RoPE.
NOTES = re.compile(r"rotary_emb\.inv_freq$|attn\.(masked_)?bias$|attention\.(masked_)?bias$")


class Tensors:
    """Where a folder has the tensors of a family's graph.

    Parameters
    ----------
    folder : :class:`~.hf_folder.Folder`
    family : :class:`~mapper.families.Family`
    shape : :class:`~mapper.hyperparameters.Hyperparameters`
    bits : :class:`int`
        What floats of layers are rounded to.

    Attributes
    ----------
    used : :class:`set` of :class:`str`
        Names in the folder of those that were asked for.
    """

    def __init__(self, folder, family, shape, bits):
        self.folder, self.family, self.shape, self.bits = folder, family, shape, bits
        root = family.outside["embedding"].hf.partition(".")[0]
        folder.complete_names(root, family.outside["head"].hf)
        self.layout, self.used = layout_of(folder), set()
        self.graph = family.graph(shape)
        self.gains = {*family.norms, "norm"}  # of norms, which have an offset in some families

    def name(self, tensor):
        """The folder's name for a tensor, without that of its layer."""
        names, suffix = self.family.file_names(tensor)
        return f"{names.hf}.{suffix}"

    def matrix(self, module, shape, bits):
        """The :class:`~.hf_quantized.Matrix` of a module."""
        found = self.layout.matrix(module, shape, bits)
        self.used |= {tensor.name for tensor in found.tensors}
        return found

    def layer(self, n, shapes):
        """The tensors of a layer by name: a matrix or a vector, and the rows of it that are the
        tensor, or None for all in turn. `shapes` are theirs."""
        prefix, found = f"{self.family.hf_layers}.{n}.", {}
        fused = [f for f in self.family.fused if prefix + f.names.hf in self.folder.modules]
        modules = {
            (its.names.hf, ending): ([part + ending for part in its.parts], its.by_head)
            for its in fused
            for ending in ("", "_bias")
        }
        together = {name for names, _ in modules.values() for name in names}
        for name in shapes:
            if name not in together:
                names, suffix = self.family.file_names(name)
                modules[names.hf, "" if suffix == "weight" else "_bias"] = [name], False
        for (module, ending), (names, by_head) in modules.items():
            if not all(name in shapes for name in names):
                continue
            found |= self._module(prefix + module, ending, names, by_head, shapes)
        return found

    def _module(self, module, ending, names, by_head, shapes):
        sizes = [shapes[name][0] for name in names]
        shape = (sum(sizes), *shapes[names[0]][1:])
        ends = list(accumulate(sizes, initial=0))
        if len(shape) == 2:
            turned = names[0] in self.family.hf_transposed
            bits = self.bits
            file = self.matrix(module, shape[::-1] if turned else shape, bits)
            file = file.transposed() if turned else file
        else:
            suffix = "bias" if ending else "weight"
            file = self.folder.find(f"{module}.{suffix}", shape)
            self.used.add(file.name)
        rows = {}
        for name, start, end in zip(names, ends, ends[1:]):
            its = np.arange(start, end)
            if by_head:
                its = heads_apart(self.shape, len(names))[start:end]
            order = row_order(self.family, self.shape, name, self.family.hf_interleaved)
            if order is not None:
                its = its[order]
            rows[name] = None if len(names) == 1 and order is None else its
        return {name: (file, its) for name, its in rows.items()}


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
    f = Fields(folder.file, family.completed(folder.config))
    context, vocab = context_of(f), f.integer(None, "vocab_size", high=1 << 20)
    shape = hyperparameters(family, f, vocab)
    variants.check_rest(f)
    tensors = Tensors(folder, family, shape, bits)
    graph, offset = tensors.graph, np.float32(family.hf_gain_offset)
    kinds = graph.layer_shapes
    found = [tensors.layer(n, kinds[kind]) for n, kind in enumerate(graph.order)]
    names, matrix = family.outside, (vocab, shape.hidden)
    embedding = head = tensors.matrix(names["embedding"].hf, matrix, 8)
    tied = f.flag(None, "tie_word_embeddings", family.tied)
    if not tied or names["head"].hf in folder.modules:
        head = tensors.matrix(names["head"].hf, matrix, 8)
    if tied and not head.same(embedding):
        raise UserError(
            f"{folder.file}: 'tie_word_embeddings' must be false, or '{names['head'].hf}.weight' "
            "equal to the embedding, not true beside another; correct the one that is "
            "wrong"
        )
    outside = {
        name: folder.find(tensors.name(name), its)
        for name, its in graph.shapes.items()
        if name not in ("embedding", "head")
    }
    used = tensors.used | {t.name for t in outside.values()}
    for name in folder.tensors:
        if name not in used and not NOTES.search(name):
            raise UserError(
                f"{folder.tensors[name].path}: tensor {brief(name)} has no place in a "
                f"{family.title} of {shape.layers} layers as config.json describes it; this model "
                "cannot be mapped"
            )

    def vector(name, tensor, rows=None):
        values = tensor.floats()
        values = values if rows is None else values[rows]
        return values + offset if name in tensors.gains else values

    def load(index):
        its = found[index].items()
        wholes = {file.name: file.load() for n, (file, _) in its if n in family.linears}
        return Layer(
            linears={
                n: wholes[file.name] if rows is None else wholes[file.name].part(rows)
                for n, (file, rows) in its
                if n in family.linears
            },
            vectors={
                n: vector(n, file, rows) for n, (file, rows) in its if n not in family.linears
            },
        )

    def formats(index):
        return {n: file.format for n, (file, _) in found[index].items() if n in family.linears}

    about = folder.optional("tokenizer_config.json")
    template = chat_template(folder, about)
    bos, eos = (folder.special(key, vocab) for key in ("bos_token_id", "eos_token_id"))
    eos = folder.special("eos_token_id", vocab, folder.optional("generation_config.json")) or eos
    tokenizer = tokenizer_json(folder, about, eos[0] if eos else None)
    return Model(
        name=folder.path.resolve().name,
        path=str(path),
        sha256=folder.sha256,
        shape=shape,
        shape_at=lambda context: hyperparameters(family, f, vocab, context),
        context=context,
        eos=eos,
        bos=first(folder, about, bos),
        chat_template=template,
        tokenizer=tokenizer,
        layers=Layers(shape.layers, load, formats),
        outside={name: vector(name, tensor) for name, tensor in outside.items()},
        load_embedding=embedding.load,
        load_head=None if tied else head.load,
        family=family.name,
    )
