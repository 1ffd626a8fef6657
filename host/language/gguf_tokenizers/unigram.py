"""SentencePiece's unigram model: of all ways to cut a text into tokens, the one with the highest
sum of scores (Kudo, arXiv:1804.10959). What has no token becomes its bytes where these are tokens,
as SentencePiece does it, otherwise the unknown token."""

from tokenizers import Tokenizer, models, normalizers

from .spaces import cleaning, decoder, joined
from .vocabulary import check_scores, refuse


__all__ = ["build"]


def build(vocabulary, what):
    """Build from GGUF's tables: see :func:`host.language.gguf_tokenizers.build`."""
    if vocabulary.unknown is None:
        refuse("it must have a token that stands for what has none")
    check_scores(vocabulary)
    model = models.Unigram(
        list(zip(vocabulary.names, vocabulary.scores)),
        unk_id=vocabulary.ids[vocabulary.unknown],
        byte_fallback=vocabulary.bytes,
    )
    out = Tokenizer(model)
    out.normalizer = normalizers.Sequence(cleaning(what))
    out.pre_tokenizer = joined(what)
    out.decoder = decoder(what)
    return out
