"""SentencePiece's spaces, which are letters of words: U+2581 stands for one."""

import base64

from tokenizers import Regex, decoders, normalizers, pre_tokenizers


__all__ = ["SPACE", "cleaning", "decoder", "joined", "normalizer"]


SPACE = "\u2581"


def cleaning(what):
    """Steps of a normalizer that say what is kept of a text, by GGUF's tables."""
    steps = []
    if what.get("charsmap"):
        steps.append(normalizers.Precompiled(base64.b64decode(what["charsmap"], validate=True)))
    if what.get("remove_extra_whitespaces"):
        steps.append(normalizers.Replace(Regex(r"\A +| +\z"), ""))
        steps.append(normalizers.Replace(Regex(" +"), " "))
    return steps


def normalizer(what):
    """What BPE does to a text before it merges.

    A text between special tokens begins anew, with a space in front of it where
    ``add_space_prefix`` says so.
    """
    prefix = [normalizers.Prepend(SPACE)] if what.get("add_space_prefix") else []
    return normalizers.Sequence([*cleaning(what), *prefix, normalizers.Replace(" ", SPACE)])


def joined(what):
    """The same for a unigram model, which `transformers` gives no second space in front."""
    scheme = "always" if what.get("add_space_prefix") else "never"
    return pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=False)


def decoder(what):
    """Tokens back to text; the space in front goes where it was put there."""
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if what.get("add_space_prefix"):
        steps.append(decoders.Strip(" ", 1, 0))
    return decoders.Sequence(steps)
