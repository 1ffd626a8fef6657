"""Models of a shape, with random weights: what cycles depend on is there, without a file."""

import json
from dataclasses import dataclass, fields
from functools import cache
from os import PathLike
from typing import TYPE_CHECKING, Any

from host.errors import UserError
from host.language.text import read_text
from host.tables import made
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .models import Model


if TYPE_CHECKING:
    from mapper.model import Model as Source


__all__ = ["Shape", "load_shape", "read_shape"]


MOST_BYTES = 1 << 16
MOST_LAYERS, MOST = 1024, (1 << 24) - 1  # as models may have
TILE = 256  # rows of random codes, which a matrix repeats
CONTEXT = 1 << 17
LARGE = {"window": 1024, "positions": 8192}  # of families that have them


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model. `format` is that of the layers' matrices, `head_format` that of the head,
    by their names in :class:`~rtl.spec.isa.WeightFormat`; sparse ones have two of four weights.

    The head is the embedding where embeddings may be in its format; else there is one in S8. A
    family that has windows has them of 1024 positions.
    """

    family: str
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    layers: int
    vocab: int
    format: str
    head_format: str

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            most = MOST_LAYERS if field.name == "layers" else MOST
            if isinstance(value, int) and not 1 <= value <= most:
                raise ValueError(f"{field.name} must be from 1 to {most}, not {value}")
        names = WeightFormat.__members__
        for name in ("format", "head_format"):
            if getattr(self, name) not in names:
                raise ValueError(
                    f"{name} must be one of {', '.join(names)}, not {getattr(self, name)!r}"
                )


def read_shape(path: str | PathLike[str]) -> Shape:
    """The shape in a JSON file. Raises :exc:`UserError` for what is none."""
    text = read_text(str(path), most=MOST_BYTES)
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: must be JSON: {reason}") from None
    if not isinstance(values, dict):
        raise UserError(
            f"{path}: must be an object of a shape's fields, not {type(values).__name__}"
        )
    shape = made(Shape, values, str(path))
    from mapper.families import FAMILIES

    if shape.family not in FAMILIES:
        raise UserError(
            f"{path}: family must be one of {', '.join(FAMILIES)}, not {shape.family!r}"
        )
    return shape


def load_shape(shape: Shape, path: str | PathLike[str], layers: int | None = None) -> Model:
    """A model of a shape, or of its first `layers`, for messages that name `path`."""
    return Model(str(path), source_of(shape, str(path), layers or shape.layers), 8)


def codes_of(rng, fmt, rows, depth):
    """Random codes, of which sparse formats have two of four."""
    import numpy as np

    its = FORMATS[fmt]
    codes = its.every_code
    if its.sparse:
        codes = codes[codes != 0]
    found = rng.choice(codes, (rows, depth))
    if its.sparse:
        order = rng.permuted(np.broadcast_to(np.arange(4), (rows, depth // 4, 4)), axis=-1)
        found = np.where(order.reshape(rows, depth) < 2, found, 0).astype(its.dtype)
    return found


def source_of(shape: Shape, path: str, layers: int) -> "Source":
    """What the mapper compiles. Rows repeat, so that a matrix of any size is there at once."""
    import numpy as np

    from mapper.families import FAMILIES
    from mapper.hyperparameters import Hyperparameters, Rotary
    from mapper.model import Layer, Layers, LazyLinear, Linear, Model as Source

    its = FAMILIES[shape.family]
    sizes = {
        name: getattr(shape, name)
        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
    }
    rope = Rotary(theta=10000.0, dim=shape.head_dim)
    # What else the family has, such as kinds of layers that alternate, as its small models do.
    ropes = {name: rope for name in ("rope", "local_rope") if name in its.toy}
    options: dict[str, Any] = {**its.toy, "rope": rope if its.rotary else None, **ropes}
    options |= {name: most for name, most in LARGE.items() if name in its.toy}
    options |= {"norm_eps": 1e-5, "layers": layers}
    if kinds := its.toy.get("kinds"):
        options["kinds"] = tuple(kinds[n % len(kinds)] for n in range(layers))
    try:
        hyperparameters = Hyperparameters(**sizes, **options)
        graph = its.graph(hyperparameters)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from None

    def matrix(name, size, fmt):
        rows, depth = size
        if depth % 32:
            raise UserError(f"{path}: {name} has rows of {depth}, which must be a multiple of 32")
        scale = np.float32(1 / (FORMATS[fmt].bound(0) * depth**0.5))

        @cache
        def tile():
            return codes_of(np.random.default_rng(1), fmt, min(rows, TILE), depth)

        def load(chosen):
            at = np.arange(rows)[chosen]
            return Linear(
                name=name,
                source="random",
                format=fmt,
                codes=tile()[at % TILE],
                d=np.full((len(at), 1), scale),
            )

        return LazyLinear(name=name, source="random", format=fmt, rows=rows, depth=depth, load=load)

    def layer(n):
        shapes = graph.layer_shapes[graph.order[n]]
        return Layer(
            linears={
                name: matrix(f"{n}.{name}", size, fmt)
                for name, size in shapes.items()
                if name in its.linears
            },
            vectors={
                name: np.ones(size, np.float32)
                for name, size in shapes.items()
                if name not in its.linears
            },
        )

    fmt, head_fmt = WeightFormat[shape.format], WeightFormat[shape.head_format]
    tied = FORMATS[head_fmt].embeds
    size = shape.vocab, shape.hidden
    embedding = matrix("embedding", size, head_fmt if tied else WeightFormat.S8)
    head = None if tied else matrix("head", size, head_fmt)
    return Source(
        name=f"{shape.family} of random weights",
        path=path,
        sha256="0" * 64,
        shape=hyperparameters,
        context=options.get("positions", CONTEXT),
        eos=(),
        bos=None,
        tokenizer="{}",
        chat_template=None,
        layers=Layers(layers, layer, lambda n: dict.fromkeys(its.linears, fmt)),
        outside={
            name: np.ones(size, np.float32)
            for name, size in graph.shapes.items()
            if name not in ("embedding", "head")
        },
        load_embedding=lambda: embedding,
        load_head=None if head is None else lambda: head,
        family=shape.family,
    )
