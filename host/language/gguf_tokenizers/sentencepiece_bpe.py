"""SentencePiece's BPE: characters are merged by the scores of the tokens that they make; what has
no token becomes its bytes (Kudo and Richardson, arXiv:1808.06226)."""

from tokenizers import Tokenizer, models

from .spaces import decoder, normalizer
from .vocabulary import Type, check_scores, refuse


__all__ = ["build", "merges_of"]


def merges_of(vocabulary):
    """All pairs of tokens that make a third, in the order in which they are merged: by its score,
    and of equal ones the longer left part first, as `transformers` has it.

    Complexity: linear in the length of all tokens.
    """
    types = Type.NORMAL, Type.USER_DEFINED, Type.UNUSED
    ids = {
        name: n
        for n, (name, its) in enumerate(zip(vocabulary.names, vocabulary.types))
        if its in types
    }
    found = []
    for name, n in ids.items():
        pairs = ((name[:at], name[at:]) for at in range(1, len(name)))
        these = [pair for pair in pairs if pair[0] in ids and pair[1] in ids]
        these.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        found += [(vocabulary.scores[n], *pair) for pair in these]
    found.sort(key=lambda its: (its[0], len(its[1]), len(its[2])), reverse=True)
    return [(left, right) for _, left, right in found]


def build(vocabulary, what):
    """Build from GGUF's tables: see :func:`host.language.gguf_tokenizers.build`."""
    if not vocabulary.bytes and vocabulary.unknown is None:
        refuse("it must have a token for each byte, or one that stands for what has none")
    check_scores(vocabulary)
    model = models.BPE(
        vocabulary.ids,
        merges_of(vocabulary),
        unk_token=vocabulary.unknown,
        fuse_unk=True,
        byte_fallback=vocabulary.bytes,
    )
    out = Tokenizer(model)
    out.normalizer = normalizer(what)
    out.decoder = decoder(what)
    return out
