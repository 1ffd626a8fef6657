"""One-shot pruning to the patterns of :mod:`rtl.spec.sparse_modes`, with what is left of each row
making up for what is taken (SparseGPT; Frantar and Alistarh 2023).

A matrix is done column by column. What leaving out a weight w costs is w**2 / U**2, U the column's
diagonal element of the Cholesky factor of the inverse Hessian of the layer's squared error over a
calibration text; the error of a column, that of rounding it included, is spread over the columns to
come. Layers are done one after the other, on the states that the pruned ones before them give.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from host.errors import UserError
from rtl.spec.formats import SPARSE_BY_BITS
from rtl.spec.sparse_modes import BLOCK, MODES
from sw_ref import graph
from sw_ref.float32 import Float32, Tensors
from sw_ref.interpreter import TOKENS

from .linear import Linear
from .place import Sections


__all__ = ["Pattern", "prune_matrix", "prune_layer", "prune"]


DAMPING = 0.01  # of the Hessian's mean diagonal: what the text says nothing of stays where it is
LAZY = 128  # columns whose errors reach the columns after them at once
BISECTIONS = 30


@dataclass(frozen=True)
class Pattern:
    """Which weights may stay.

    Attributes
    ----------
    name : :class:`str`
        One of :data:`rtl.spec.sparse_modes.MODES`, or ``mixed``: 0, 2, 4, 8 or 16 of 16, each block
        of 16 x 16 as many as it is worth (FlightLLM).
    density : :class:`float`
        Share of weights to keep, where blocks differ.
    """

    name: str
    density: float = 0.375

    def __post_init__(self):
        if self.name not in (*MODES, "mixed"):
            raise UserError(f"pattern must be one of {', '.join(MODES)}, mixed, not {self.name!r}")
        if not 0 < self.density <= 1:
            raise UserError(f"density must be above 0 and at most 1, not {self.density:g}")

    def counts(self, cost):
        """Weights that each row of 16 may keep: (rows, K / 16), the same for the rows of a block.

        They are planned for the whole matrix at once, from what leaving out a weight costs, (rows,
        K).
        """
        if self.name != "mixed":
            return np.full((len(cost), cost.shape[1] // BLOCK), int(self.name.split(":")[0]))
        rest = _rests(cost)
        low, high = 0.0, float(rest.max()) + 1.0  # the price of a slot with which `density` is kept
        for _ in range(BISECTIONS):
            price = (low + high) / 2
            count = COUNTS[np.argmin(rest + price * BLOCK * COUNTS, -1)]
            low, high = (low, price) if count.mean() / BLOCK < self.density else (price, high)
        return np.repeat(count, BLOCK, 0)[: len(cost)]

    def keep(self, cost, counts):
        """Weights that stay of some columns, bool, for their `cost`, (rows, a multiple of
        BLOCK).
        """
        size = 4 if self.name == "2:4" else BLOCK
        parts = cost.reshape(len(cost), -1, size)
        order = np.argsort(np.argsort(-parts, axis=-1, kind="stable"), axis=-1)
        return (order < np.repeat(counts, BLOCK // size, 1)[..., None]).reshape(cost.shape)


COUNTS = np.array([0, 2, 4, 8, 16])  # weights of a row's 16 that a block may keep


def _rests(cost):
    """What is lost by keeping only `COUNTS` weights of each row: (blocks of rows, blocks,
    counts).
    """
    rows = -(-len(cost) // BLOCK) * BLOCK
    parts = np.pad(cost, [(0, rows - len(cost)), (0, 0)]).reshape(rows, -1, BLOCK)
    ordered = np.sort(parts, axis=-1)  # the least first
    lost = np.concatenate([np.zeros((*parts.shape[:2], 1)), np.cumsum(ordered, -1)], -1)
    lost = lost[..., BLOCK - COUNTS]
    return lost.reshape(rows // BLOCK, BLOCK, *lost.shape[1:]).sum(1)


def _row_scale(weight, limit):
    """Scale of each row with the least squared error of rounding to -limit..limit."""
    largest = np.abs(weight).max(1)
    best, least = largest / limit, np.full(len(weight), np.inf)
    for share in (1.0,) if limit > 7 else np.linspace(0.5, 1.0, 11):
        scale = np.where(largest > 0, share * largest / limit, 1)[:, None]
        error = ((np.rint(weight / scale).clip(-limit, limit) * scale - weight) ** 2).sum(1)
        better = error < least
        best[better], least[better] = scale[better, 0], error[better]
    return best.astype(np.float32)


def _factor(hessian):
    """Upper Cholesky factor of the inverse of the damped Hessian."""
    hessian = hessian.astype(np.float64)
    diagonal = np.einsum("ii->i", hessian)
    dead = diagonal == 0
    diagonal[dead] = 1
    diagonal += DAMPING * diagonal.mean()
    lower = np.linalg.cholesky(np.linalg.inv(hessian))
    return lower.T, dead


def prune_matrix(weight, hessian, pattern, bits):
    """Prune and round a matrix.

    Parameters
    ----------
    weight : float32 (rows, K)
    hessian : float (K, K)
        Sum of the outer products of the activations with themselves.
    pattern : :class:`Pattern`
    bits : :class:`int`
        Of the codes: 4 or 8.

    Returns
    -------
    int8 (rows, K) and float32 (rows,): codes, and the rows' scales.
    """
    factor, dead = _factor(hessian)
    limit = (1 << bits - 1) - 1
    weight = np.where(dead, 0, weight.astype(np.float64))
    saliency = np.diag(factor) ** 2
    cost = weight**2 / saliency
    counts = pattern.counts(cost)
    # What stays decides how coarse the codes are: a first guess of it is good enough.
    kept = pattern.keep(cost, counts)
    scale = _row_scale(weight * kept, limit)
    step = np.where(scale > 0, scale, 1).astype(np.float64)
    codes = np.zeros(weight.shape, np.int8)
    for start in range(0, weight.shape[1], LAZY):
        end = min(start + LAZY, weight.shape[1])
        part, errors = weight[:, start:end].copy(), np.zeros((len(weight), end - start))
        for n in range(end - start):
            if n % BLOCK == 0:
                at = start + n
                kept = pattern.keep(
                    part[:, n : n + BLOCK] ** 2 / saliency[at : at + BLOCK],
                    counts[:, at // BLOCK : at // BLOCK + 1],
                )
            code = np.rint(part[:, n] / step).clip(-limit, limit) * kept[:, n % BLOCK]
            errors[:, n] = (part[:, n] - code * step) / factor[start + n, start + n]
            part[:, n + 1 :] -= errors[:, n, None] * factor[start + n, start + n + 1 : end]
            codes[:, start + n] = code
        weight[:, end:] -= errors @ factor[start:end, end:]
    return codes, scale


def prune_layer(run, body, layer, scopes, pattern, bits):
    """Prune one layer.

    Parameters
    ----------
    run : :class:`~sw_ref.float32.Float32`
    body : sequence of :class:`~sw_ref.graph.Node`
        What a layer computes.
    layer : :class:`~mapper.model.Layer`
    scopes : list of :class:`dict`
        Values by name that the body reads, for each text.

    Returns
    -------
    The layer, and what the body makes of each text with it.
    """
    products = [node for node in body if isinstance(node, graph.Linear)]
    seen: dict[str, Any] = {node.inputs[0]: 0 for node in products}  # Hessians, by the input

    def watch(name, value):
        if name in seen:
            seen[name] = seen[name] + value.T @ value

    for values in scopes:
        for name in seen.keys() & values.keys():
            watch(name, values[name])
    before = Tensors(layer.tensor)
    for _ in run.run(body, scopes, before, watch):
        pass
    hessians = {}
    for node in products:
        hessians[node.weight] = hessians.get(node.weight, 0) + seen[node.inputs[0]]
    linears = {}
    for name, linear in layer.linears.items():
        codes, scale = prune_matrix(before.matrix(name), hessians[name], pattern, bits)
        linears[name] = Linear(
            name=linear.name,
            source=linear.source,
            format=SPARSE_BY_BITS[bits],
            codes=codes,
            d=scale[:, None],
            file_bytes=linear.file_bytes,
        )
    layer = replace(layer, linears=linears)
    return layer, list(run.run(body, scopes, Tensors(layer.tensor)))


class _Pruning(Float32):
    """Interpret a model, and prune each layer before its texts go through it."""

    def __init__(self, model, pattern, bits, progress):
        super().__init__(model, progress)
        self.pattern, self.bits, self.layers = pattern, bits, []

    def round(self, node, n, scopes, trace=None):
        layer, states = prune_layer(
            self, node.body, self.model.layers[n], list(scopes), self.pattern, self.bits
        )
        self.layers.append(layer)
        self.progress(n + 1)
        return states


def prune(model, texts, pattern, bits=8, progress=lambda done, total: None):
    """Prune the layers of a :class:`~mapper.model.Model`; its embedding, norms and head stay.

    `texts` are lists of token ids to calibrate with. Returns a model.
    """
    if bits not in SPARSE_BY_BITS:
        raise UserError(f"a sparse matrix's codes must have 4 or 8 bits, not {bits}")
    sections = Sections.of(model.graph)
    pruning = _Pruning(model, pattern, bits, lambda done: progress(done, len(model.layers)))
    nodes, scopes = (*sections.before, *sections.repeats), [{TOKENS: ids} for ids in texts]
    for _ in pruning.run(nodes, scopes, pruning.tensors(None)):
        pass
    name = f"{model.name}-{pattern.name.replace(':', '-')}"
    return replace(model, layers=pruning.layers, name=name)
