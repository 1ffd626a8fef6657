"""A small random model of the Llama family, with every kind of thing that a large one has."""

import numpy as np

from mapper.model import Layer, Layers, Model, round_s8, round_u4


__all__ = ["toy_model"]


def toy_model(*, layers=2, hidden=128, heads=3, kv_heads=1, ffn=192, vocab=96, tied=True, seed=7,
              context=128):
    """A :class:`~mapper.model.Model` with U4 matrices and an S8 embedding.

    Weights are large enough that attention is sharp and the logits differ.
    """
    rng = np.random.default_rng(seed)
    head_dim = 64
    shapes = Model.shapes(hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, ffn=ffn)

    def normal(rows, depth, gain=1.5):
        # Rows of different sizes, and offsets that give groups a centre off zero.
        scale = rng.uniform(0.5, 2, (rows, 1)) * gain / np.sqrt(depth)
        offset = np.repeat(rng.normal(0, 0.3, (rows, depth // 32)), 32, 1)
        return ((rng.normal(0, 1, (rows, depth)) + offset) * scale).astype(np.float32)

    made = [Layer(linears={name: round_u4(f"blk.{n}.{name}", "toy", normal(*shape))
                           for name, shape in shapes.items()},
                  attn_norm=rng.uniform(0.5, 1.5, hidden).astype(np.float32),
                  ffn_norm=rng.uniform(0.5, 1.5, hidden).astype(np.float32))
            for n in range(layers)]
    embedding = round_s8("embedding", "toy", normal(vocab, hidden, 3.0))
    head = round_s8("head", "toy", normal(vocab, hidden))
    return Model(
        name="toy", path="toy", sha256="0" * 64, hidden=hidden, heads=heads, kv_heads=kv_heads,
        head_dim=head_dim, ffn=ffn, vocab=vocab, context=context, rope_theta=10000.0, rms_eps=1e-5,
        eos=(0,), bos=None, tokenizer="{}", chat_template=None, layers=Layers(layers, made.__getitem__),
        norm=rng.uniform(0.5, 1.5, hidden).astype(np.float32), load_embedding=lambda: embedding,
        load_head=None if tied else lambda: head)
