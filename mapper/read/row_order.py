"""The order of rows of Q and K: that of files, and the graph's, in which elements of a head that
are rotated as a pair lie half a head apart."""

import numpy as np


__all__ = ["half_split", "heads_apart", "row_order"]


def half_split(heads, head_dim, dim=None, interleaved=True):
    """Row order that turns a file's Q or K into that of the graph: elements i and i + head_dim / 2
    of a head are a pair. Of a file's head the first `dim` elements are rotated, by default all: in
    pairs side by side, if `interleaved`, else those of each pair dim / 2 apart."""
    dim = head_dim if dim is None else dim
    rotated, rest = np.arange(dim), np.arange(dim, head_dim).reshape(2, -1)
    pairs = rotated.reshape(-1, 2).T if interleaved else rotated.reshape(2, -1)
    order = np.concatenate([pairs, rest], 1).reshape(-1)
    return (np.arange(heads)[:, None] * head_dim + order).reshape(-1)


def row_order(family, shape, name, interleaved):
    """The order that a file's rows of a tensor have in the graph, or None where it is the same:
    elements of heads that are rotated as pairs lie half a head apart. `interleaved` are the
    matrices whose pairs lie side by side in the file."""
    dim, part = shape.head_dim, name.removesuffix("_bias")
    if shape.rope is None or part not in ("q", "k", "q_norm", "k_norm"):
        return None
    turned, partly = part[0] in interleaved, shape.rope.dim < dim
    if not turned and not partly:
        return None
    heads = {"q": shape.heads, "k": shape.kv_heads}.get(part, 1)
    return half_split(heads, dim, shape.rope.dim, turned)


def heads_apart(shape, parts):
    """The order of rows that puts each part's heads together, where a folder has head after head,
    the parts of each one below the other."""
    rows = np.arange(parts * shape.heads * shape.head_dim)
    return rows.reshape(shape.heads, parts, shape.head_dim).swapaxes(0, 1).reshape(-1)
