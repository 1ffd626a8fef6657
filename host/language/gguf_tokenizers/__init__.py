"""Tokenizers from GGUF's tables, which the library `tokenizers` then runs.

A file per kind; :data:`KINDS` has them by what GGUF calls them, ``tokenizer.ggml.model``.
"""

from host.errors import UserError

from . import byte_bpe, sentencepiece_bpe, unigram
from .vocabulary import Vocabulary


__all__ = ["KINDS", "build"]


KINDS = {
    "gpt2": byte_bpe.build,
    "llama": sentencepiece_bpe.build,
    "t5": unigram.build,
}


def build(what):
    """Build a :class:`tokenizers.Tokenizer` from GGUF's tables.

    Parameters
    ----------
    what : :class:`dict`
        ``model``, one of :data:`KINDS`; ``tokens``, ``types``, ``scores`` by id; ``merges`` and
        ``pre`` of byte-level BPE. Without the other fields, nothing is done:
        ``add_space_prefix`` and ``remove_extra_whitespaces``, of SentencePiece; ``charsmap``, its
        normalizer's table in base64; ``unknown``, the token that stands for what has none, if it is
        not that of the type; ``rstrip``, special tokens take the spaces behind them.
    """
    if what["model"] not in KINDS:
        known = "'gpt2' (byte-level BPE), 'llama' (SentencePiece BPE) or 't5' (unigram)"
        raise UserError(f"tokenizer: its model must be {known}, not {what['model'][:40]!r}")
    vocabulary = Vocabulary.of(what)
    out = KINDS[what["model"]](vocabulary, what)
    vocabulary.add_special(out, bool(what.get("rstrip")))
    return out
