"""Which type each matrix of a GGUF file gets, by `llama-quantize`'s rules.

They are in `src/llama-quant.cpp` of llama.cpp <https://github.com/ggml-org/llama.cpp>, where models
of other families and those of 70B have rules of their own. What differs here, each function says;
llama.cpp reads such files all the same.
"""

import re

from ..read.gguf_types import TYPES


__all__ = ["FLOATS", "MIXED", "MIXTURE", "fitting", "head_of", "wanted"]


EMBEDDING, HEAD = "token_embd.weight", "output.weight"
FLOATS = ("F32", "F16", "BF16")
MIXED = "mixed"
MIXTURE = "Q4_K_M"  # what llama-quantize calls it
BLOCKS = {its.name: its.elements for its in TYPES.values()}
MORE = re.compile(r"blk\.(\d+)\.(?:attn_v|ffn_down)\.weight")

# What rows that are no multiple of 256 get. Ternary types have no entry here: Q4_0, which
# llama-quantize takes, has no three values that are as far apart, but Q8_0 has.
INSTEAD = {
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
    "IQ4_XS": "IQ4_NL",
}


def head_of(kind: str) -> str:
    """The type of a head, and of an embedding that is one too, where layers have `kind`."""
    if kind in FLOATS:
        return kind
    return "Q8_0" if kind in ("Q8_0", "MXFP4") else "Q6_K"


def more_bits(layer: int, layers: int) -> bool:
    """Whether v and down of a layer get more bits: the first and the last eighth of the layers,
    and every third between them."""
    eighth = layers // 8
    return layer < eighth or layer >= 7 * layers // 8 or (layer - eighth) % 3 == 2


def wanted(name: str, kind: str, head: str | None, layers: int, tied: bool) -> str:
    """The type of a matrix, if its rows fit.

    Parameters
    ----------
    name : :class:`str`
        GGUF's name of the tensor.
    kind : :class:`str`
        A type, or ``"mixed"``: Q6_K for the head and for some of v and down, otherwise Q4_K.
    head : :class:`str` or None
        The type of embedding and head. None: :func:`head_of` says it, but for the embedding beside
        a head in a mixture. In files of one type such an embedding has the head's type, and not
        the layers', since no pass reads more than a row of it.
    layers : :class:`int`
        How many the model has.
    tied : :class:`bool`
        Whether the embedding is the head.
    """
    if name in (EMBEDDING, HEAD):
        if head is not None:
            return head
        if kind == MIXED and name == EMBEDDING and not tied:
            return "Q4_K"
        return head_of(kind)
    if kind != MIXED:
        return kind
    found = MORE.fullmatch(name)
    return "Q6_K" if found and more_bits(int(found[1]), layers) else "Q4_K"


def fitting(kind: str, depth: int) -> str:
    """The type for rows of `depth`: `kind`, or what takes its place where blocks do not fit."""
    for its in (kind, INSTEAD.get(kind, "Q8_0"), "F16"):
        if depth % BLOCKS[its] == 0:
            return its
    raise AssertionError("a block of F16 has one element")
