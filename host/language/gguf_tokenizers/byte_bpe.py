"""Byte-level BPE: text is cut into words, whose bytes are merged in the order of a list (GPT-2)."""

from tokenizers import Tokenizer, decoders, models

from host.errors import UserError

from .pre_tokenizers import PRE_TOKENIZERS
from .vocabulary import refuse


__all__ = ["build"]


def merges_of(merges, ids):
    """Pairs of a GGUF's merges: each is two tokens with a space between. The first of equal ones
    counts."""
    pairs = []
    for merge in merges:
        if not isinstance(merge, str):
            refuse("its merges must be text")
        left, _, right = merge.partition(" ")
        if not {left, right, left + right} <= ids.keys():
            refuse(f"a merge must join two tokens to a third, not {merge[:60]!r}")
        pairs.append((left, right))
    return list(dict.fromkeys(pairs))


def build(vocabulary, what):
    """Build from GGUF's tables: see :func:`host.language.gguf_tokenizers.build`."""
    if what["pre"] not in PRE_TOKENIZERS:
        raise UserError(
            f"tokenizer: its pre-tokenizer must be {', '.join(PRE_TOKENIZERS)}, not "
            f"{what['pre'][:40]!r}; use a safetensors folder with a tokenizer.json"
        )
    if not what["merges"]:
        refuse("it must have merges, there are none")
    pre, ids = PRE_TOKENIZERS[what["pre"]], vocabulary.ids
    merges = merges_of(what["merges"], ids)
    out = Tokenizer(models.BPE(ids, merges, ignore_merges=pre.ignore_merges))
    normalizer = pre.normalizer
    if normalizer is not None:
        out.normalizer = normalizer
    out.pre_tokenizer = pre.make()
    out.decoder = decoders.ByteLevel()
    return out
