"""A model's graph, interpreted in float32 and numpy, for what needs no more than a run has:
evaluation and pruning.

:class:`sw_ref.pytorch.interpreter.Float32` is the same in PyTorch.
"""

from functools import lru_cache

import numpy as np

from .interpreter import TOKENS, Interpreter
from .logits import capped
from .rotary import table
from .sequences import GATES


__all__ = ["Float32", "Tensors", "angles"]


f32 = np.float32


@lru_cache(maxsize=8)  # texts are mostly as long as the context
def angles(node, positions):
    """Cosines, then sines, of the first positions, of an :class:`~sw_ref.graph.Angles`."""
    rotated = table(node.dim, node.theta, node.scaling, positions)
    still = np.ones((positions, (node.size - node.dim) // 2), f32)
    cosines, sines = rotated
    return np.concatenate([cosines, still, sines, np.zeros_like(still)], -1)


class Tensors:
    """Tensors by name, those of a round or those outside; a matrix becomes float32 once.

    Parameters
    ----------
    find : function of a name
        Returns a :class:`~mapper.model.Linear`, or a float32 array.
    """

    def __init__(self, find):
        self.find, self._matrices = find, {}

    def matrix(self, name):
        """A matrix, float32 (rows, K)."""
        linear = self.find(name)
        if linear not in self._matrices:
            self._matrices[linear] = linear.float32()
        return self._matrices[linear]

    def vector(self, name):
        """A gain, a bias, or a table, float32."""
        return self.find(name)


class Float32(Interpreter):
    """Everything in float32: values are (positions, size).

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    progress : function
        Called with the number of layers that all texts are through.
    """

    def __init__(self, model, progress=lambda done: None):
        super().__init__(model)
        self.progress, self._held = progress, []

    def __call__(self, texts):
        """Yield the logits, float32 (positions, vocab), of each of `texts`, lists of ids."""
        scopes = [{TOKENS: ids} for ids in texts]
        return self.run(self.model.graph.nodes, scopes, self.tensors(None))

    def tensors(self, layer):
        # Those before are let go one layer late: what the allocator gives back to the system at
        # once would cost a page fault for each page of the next layer.
        self._held = self._held[-1:] + [Tensors(super().tensors(layer))]
        return self._held[-1]

    def round(self, node, n, scopes, trace=None):
        yield from super().round(node, n, scopes, trace)
        self.progress(n + 1)

    def embedding(self, node, tensors, ids):
        return tensors.matrix(node.weight)[ids]

    def angles(self, node, tensors, ids):
        return angles(node, len(ids))

    def norm(self, node, tensors, x):
        x = x.reshape(len(x), node.heads, -1)
        mean = (x * x).mean(-1, keepdims=True)
        x = x / np.sqrt(mean + f32(node.eps)) * tensors.vector(node.gain)
        return x.reshape(len(x), -1)

    def layernorm(self, node, tensors, x):
        x = x - x.mean(-1, keepdims=True)
        variance = (x * x).mean(-1, keepdims=True)
        x = x / np.sqrt(variance + f32(node.eps))
        return x * tensors.vector(node.gain) + tensors.vector(node.bias)

    def linear(self, node, tensors, x):
        y = x @ tensors.matrix(node.weight).T
        return y if node.bias is None else y + tensors.vector(node.bias)

    def head(self, node, tensors, x):
        return capped(x @ tensors.matrix(node.weight).T, node.cap)

    def positionrow(self, node, tensors, ids):
        return tensors.vector(node.weight)[: len(ids)]

    def rope(self, node, tensors, x, angles):
        half, heads = node.head_dim // 2, x.reshape(len(x), -1, node.head_dim)
        low, high = heads[..., :half], heads[..., half:]
        cos, sin = angles[:, None, :half], angles[:, None, half:]
        return np.concatenate([low * cos - high * sin, high * cos + low * sin], -1).reshape(x.shape)

    def attend(self, node, tensors, q, k, v):
        shared = node.heads // node.kv_heads
        q, k, v = (x.reshape(len(x), -1, node.head_dim) for x in (q, k, v))
        q, k, v = (
            x.transpose(1, 0, 2) for x in (q, np.repeat(k, shared, 1), np.repeat(v, shared, 1))
        )
        scores = capped(q @ k.transpose(0, 2, 1) * f32(node.scale), node.cap)
        hidden = np.full(scores.shape[1:], -np.inf, f32)
        scores += np.triu(hidden, 1)
        if node.window:
            scores += np.tril(hidden, -node.window)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)

    def gate(self, node, tensors, gate, *up):
        gate = GATES[node.function](gate)
        return gate * up[0] if up else gate

    def add(self, node, tensors, x, y):
        return x + y * f32(node.factor)

    def scale(self, node, tensors, x):
        return x * f32(node.factor)
