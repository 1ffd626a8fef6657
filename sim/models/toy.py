"""A small random model with every feature of a large one."""

import numpy as np

from mapper.families import FAMILIES
from mapper.hyperparameters import Hyperparameters, Rotary
from mapper.model import ODD, Layer, Layers, Linear, Model
from mapper.rounding import round_s8, round_u
from rtl.spec.formats import FORMATS, SPARSE
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import BLOCK


__all__ = ["mixed_model", "prune", "round_rows", "toy_model"]


EXTREMES = 1e-38, 1e-30, 1e30  # sizes of rows beside those near 1


def prune(rng, weights):
    """Make blocks of 16 by 16 weights of every kind: none, 2, 4, 8 or 16 of 16, or 2 of 4, the
    largest.
    """
    rows, depth = weights.shape
    most = rng.choice([0, 2, 4, 8, 16, -2], (-(-rows // BLOCK), depth // BLOCK))
    out = np.zeros_like(weights)
    for row in range(rows):
        for block, count in enumerate(most[row // BLOCK]):
            part = weights[row, block * BLOCK :][:BLOCK].reshape(4 if count < 0 else 1, -1)
            least = np.argsort(-np.abs(part), axis=-1)[:, abs(count) :]
            kept = part.copy()
            np.put_along_axis(kept, least, 0, -1)
            out[row, block * BLOCK :][:BLOCK] = kept.reshape(-1)
    return out


def round_rows(name, weights, fmt):
    """Round to a format with a scale per row, negative ones among them. Ternary weights are near
    the mean magnitude.
    """
    its = FORMATS[fmt]
    limit = int(its.grid(its.every_code).max())
    largest = (
        np.abs(weights).mean(1, keepdims=True)
        if limit == 1
        else np.abs(weights).max(1, keepdims=True)
    )
    d = np.where(largest > 0, largest, 1) / np.float32(limit)
    d[::5] *= -1
    codes = its.nearest((weights / d).clip(-limit, limit))
    return Linear(name=name, source="toy", format=fmt, codes=codes, d=d.astype(np.float32))


def round_groups(name, weights, fmt):
    """Round to a format with a scale for each of its groups, negative ones among them."""
    its = FORMATS[fmt]
    groups = weights.reshape(len(weights), -1, its.group)
    largest = np.abs(groups).max(-1)
    d = (np.where(largest > 0, largest, 1) / np.abs(its.grid(its.every_code)).max()).astype("f4")
    d[::3] *= -1
    codes = its.nearest(groups / d[..., None]).reshape(weights.shape)
    return Linear(name=name, source="toy", format=fmt, codes=codes, d=d)


def toy_model(
    *,
    layers=2,
    hidden=128,
    heads=3,
    kv_heads=1,
    head_dim=64,
    ffn=192,
    vocab=96,
    tied=True,
    seed=7,
    context=128,
    format=WeightFormat.U4,
    formats={},
    extremes=False,
    family="llama",
    **options,
):
    """A :class:`~mapper.model.Model` of a family, with matrices in a format and an S8 embedding.

    Weights are large enough that attention is sharp and the logits differ. `formats` has those of
    single matrices that are not in `format`: by name, ``down``, or of one layer, ``1.down``. With
    `extremes`, some rows are zeros, and some have weights as small or as large as a file may have.
    `options` are other :class:`~mapper.hyperparameters.Hyperparameters`; a family has some that
    turn its features on.
    """
    rng = np.random.default_rng(seed)
    its = FAMILIES[family]
    sizes = dict(
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        ffn=ffn,
        vocab=vocab,
        layers=layers,
        norm_eps=1e-5,
        rope=Rotary(theta=10000.0, dim=head_dim) if its.rotary else None,
    )
    shape = Hyperparameters(**sizes | its.toy | dict(options))
    graph = its.graph(shape)

    def normal(rows, depth, gain=1.5):
        # Rows of different sizes, and offsets that give groups a centre off zero.
        scale = rng.uniform(0.5, 2, (rows, 1)) * gain / np.sqrt(depth)
        offset = np.repeat(rng.normal(0, 0.3, (rows, depth // 32)), 32, 1)
        if extremes:
            scale = scale * rng.choice(
                [1, 0, *EXTREMES], (rows, 1), p=[0.9, 0.04, 0.02, 0.02, 0.02]
            )
        return ((rng.normal(0, 1, (rows, depth)) + offset) * scale).astype(np.float32)

    def matrix(name, shape, format):
        weights = normal(*shape)
        bits = {fmt: bits for bits, fmt in ODD.items()}.get(format)
        if bits is not None:
            return round_u(name, "toy", weights, bits)
        if format == WeightFormat.S8:
            return round_s8(name, "toy", weights)
        if FORMATS[format].scaled:
            return round_groups(name, weights, format)
        return round_rows(name, prune(rng, weights) if format in SPARSE else weights, format)

    def vector(name, size):
        values = rng.uniform(0.5, 1.5, size) if "bias" not in name else rng.normal(0, 0.5, size)
        return values.astype(np.float32)

    def layer(n, shapes):
        ordered = sorted(shapes.items(), key=lambda item: (item[0] not in its.linears, 0))
        made = {
            name: matrix(
                f"blk.{n}.{name}", size, formats.get(f"{n}.{name}", formats.get(name, format))
            )
            if name in its.linears
            else vector(name, *size)
            for name, size in ordered
        }
        return Layer(
            linears={k: v for k, v in made.items() if k in its.linears},
            vectors={k: v for k, v in made.items() if k not in its.linears},
        )

    made = [layer(n, graph.layer_shapes[kind]) for n, kind in enumerate(graph.order)]
    embedding = round_s8("embedding", "toy", normal(vocab, hidden, 3.0))
    head = round_s8("head", "toy", normal(vocab, hidden))
    outside = {
        name: vector(name, *size) if len(size) == 1 else normal(*size, 3.0)
        for name, size in graph.shapes.items()
        if name not in ("embedding", "head")
    }
    return Model(
        name="toy",
        path="toy",
        sha256="0" * 64,
        context=context,
        eos=(0,),
        bos=None,
        tokenizer="{}",
        chat_template=None,
        layers=Layers(shape.layers, made.__getitem__),
        outside=outside,
        shape=shape,
        load_embedding=lambda: embedding,
        load_head=None if tied else lambda: head,
        family=family,
    )


def mixed_model(config, layers, **options):
    """A toy model each matrix of which has another format in each layer: those of a configuration,
    in turn."""
    names, formats = FAMILIES["llama"].linears, config.weight_formats
    turns = {
        f"{n}.{name}": formats[(n + 3 * m) % len(formats)]
        for n in range(layers)
        for m, name in enumerate(names)
    }
    return toy_model(layers=layers, formats=turns, **options)
