"""Read models of all families from GGUF files; the file itself is :mod:`.gguf_container`'s."""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from host.errors import UserError

from .. import variants
from ..model import Layer, Layers, Model
from .bounds import brief
from .fields import Fields
from .gguf_container import File
from .gguf_tokenizer import special_tokens, tokenizer_json
from .hyperparameters import context_of, hyperparameters
from .rotary import FACTORS
from .row_order import row_order


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


class Tensors:
    """Where a file has the tensors of a family's graph.

    Parameters
    ----------
    file : :class:`~.gguf_container.File`
    family : :class:`~mapper.families.Family`
    shape : :class:`~mapper.hyperparameters.Hyperparameters`

    Attributes
    ----------
    used : :class:`set` of :class:`str`
        Names in the file of those that were asked for.
    """

    def __init__(self, file, family, shape):
        self.file, self.family, self.shape = file, family, shape
        self.used: set[str] = set()

    def find(self, name, shape, prefix=""):
        """The file's tensor of a name of the graph, and the rows of it that are that, or None for
        all in turn. `prefix` is that of a layer."""
        names, suffix = self.family.file_names(name)
        fused = self._fused(name, prefix)
        if fused is None:
            tensor = self.file.find(f"{prefix}{names.gguf}.{suffix}", shape)
            rows = None
        else:
            its, start, total = fused
            whole = (total, *shape[1:])
            tensor = self.file.find(f"{prefix}{its.names.gguf}.{suffix}", whole)
            rows = np.arange(start, start + shape[0])
        self.used.add(tensor.name)
        order = self.order(name)
        if order is not None:
            rows = order if rows is None else rows[order]
        return tensor, rows

    def _fused(self, name, prefix):
        """The :class:`~mapper.families.Fused` that has a tensor, its first row there, and how many
        rows that has; None where it is by itself."""
        part = name.removesuffix("_bias")

        def there(names):
            return f"{prefix}{names.gguf}.weight" in self.file.tensors

        for its in self.family.fused:
            # Phi-3's `ffn_up` has the gate's rows, too.
            apart = all(there(self.family.linears[each]) for each in its.parts)
            if part in its.parts and there(its.names) and not apart:
                rows = [self.sizes[each] for each in its.parts]
                at = its.parts.index(part)
                return its, sum(rows[:at]), sum(rows)
        return None

    @cached_property
    def sizes(self):
        """Rows of the matrices of layers."""
        shapes = self.family.graph(self.shape).layer_shapes
        return {name: shape[0] for its in shapes.values() for name, shape in its.items()}

    def order(self, name):
        """The order of a tensor's rows in the graph, None where it is the file's."""
        return row_order(self.family, self.shape, name, self.family.interleaved)


def read(path):
    """Read the :class:`Model` in a GGUF file. Matrices are read when they are asked for."""
    file = File(path)
    family = family_of(file)
    biased = frozenset(
        name for name, its in family.linears.items() if f"blk.0.{its.gguf}.bias" in file.tensors
    )
    f = Fields(path, file.metadata, f"{file.of_type('general.architecture', str)}.", biased)
    context = context_of(f)
    embedding = file.tensors.get("token_embd.weight")
    vocab = f.integer(
        "vocab_size", None, high=1 << 20, default=embedding.shape[0] if embedding else 1
    )
    factors = {name: file.floats(file.tensors[name]) for name in FACTORS if name in file.tensors}
    shape = hyperparameters(family, f, vocab, context, factors)
    variants.check_rest(f)
    graph = family.graph(shape)
    tensors = Tensors(file, family, shape)
    tensors.used |= factors.keys()
    kinds = graph.layer_shapes
    found = [
        {name: tensors.find(name, its, f"blk.{n}.") for name, its in kinds[kind].items()}
        for n, kind in enumerate(graph.order)
    ]
    outside = {
        name: tensors.find(name, its)[0]
        for name, its in graph.shapes.items()
        if name not in ("embedding", "head")
    }
    matrix = vocab, shape.hidden
    embedding, _ = tensors.find("embedding", matrix)
    head = None
    if f"{family.outside['head'].gguf}.weight" in file.tensors:
        head, _ = tensors.find("head", matrix)
    products = [t for its in found for t, _ in its.values() if len(t.shape) == 2]
    products += [head] if head else []
    used = tensors.used | {name for t in products for name in file.beside(t)}
    for name in file.tensors:
        if name not in used:
            raise UserError(
                f"{path}: tensor {brief(name)} has no place in a {family.title} of {shape.layers} "
                "layers as the file describes it; this model cannot be mapped"
            )

    def load(index):
        its = found[index].items()
        return Layer(
            linears={n: file.linear(t, rows) for n, (t, rows) in its if len(t.shape) == 2},
            vectors={
                n: file.floats(t) if rows is None else file.floats(t)[rows]
                for n, (t, rows) in its
                if len(t.shape) == 1
            },
        )

    def formats(index):
        return {n: file.format(t) for n, (t, _) in found[index].items() if len(t.shape) == 2}

    eos, bos = special_tokens(file, vocab)
    return Model(
        name=file.of_type("general.name", str, default=Path(path).stem),
        path=str(path),
        sha256=hashlib.sha256(file.data).hexdigest(),
        shape=shape,
        shape_at=lambda context: hyperparameters(family, f, vocab, context, factors),
        context=context,
        eos=eos,
        bos=bos,
        tokenizer=tokenizer_json(file, vocab),
        chat_template=file.of_type("tokenizer.chat_template", str, default="") or None,
        layers=Layers(shape.layers, load, formats),
        outside={name: file.floats(tensor) for name, tensor in outside.items()},
        load_embedding=lambda: file.linear(embedding),
        load_head=None if head is None else lambda: file.linear(head),
        family=family.name,
    )
