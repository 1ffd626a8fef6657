"""How byte-level BPE cuts text before it merges, by GGUF's names (``tokenizer.ggml.pre``).

Names, and what goes with them, are those of llama.cpp's llama-vocab.cpp. Its regular expressions
are those of the families' own `tokenizer.json`, as far as its engine has them; here, they are the
families'. So words of upper and lower case outside of ASCII, and marks, are cut as models were
trained (``tekken``, ``gpt-4o``), and text is composed (NFC) where the family does it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, normalizers, pre_tokenizers


__all__ = ["PRE_TOKENIZERS", "PreTokenizer"]


CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + REST
QWEN2 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + REST
QWEN35 = (
    CONTRACTION
    + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    + r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# A word of capitals, then small letters: of the second, at least one; of the first, if not.
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASES = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+",
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*",
)
SLASHES = REST.replace(r"[\r\n]*", r"[\r\n/]*")
TEKKEN = "|".join((*CASES, r"\p{N}", SLASHES))
GPT4O = "|".join((*(case + CONTRACTION + "?" for case in CASES), r"\p{N}{1,3}", SLASHES))
DEEPSEEK3 = (
    r"\p{N}{1,3}",
    "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    r"""| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+""",
)
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)"


def byte_level(use_regex):
    """Bytes as characters; with `use_regex`, words of GPT-2."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def words():
    """Words of GPT-2."""
    return byte_level(True)


def digits():
    """Each digit by itself, then words of GPT-2."""
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level(True)]
    )


def split(*expressions):
    """What each expression matches, and what is between, one expression after the other."""

    def make():
        cuts = [pre_tokenizers.Split(Regex(its), "isolated") for its in expressions]
        return pre_tokenizers.Sequence([*cuts, byte_level(False)])

    return make


@dataclass(frozen=True)
class PreTokenizer:
    """What goes with a name.

    Attributes
    ----------
    make : function
        Makes a :class:`tokenizers.pre_tokenizers.PreTokenizer`.
    ignore_merges : :class:`bool`
        Whether a word that is a token is never split.
    add_bos : :class:`bool`
        Whether a text begins with BOS where the file does not say.
    nfc : :class:`bool`
        Whether text is composed first.
    """

    make: Callable[[], Any]
    ignore_merges: bool = False
    add_bos: bool = False
    nfc: bool = False

    @property
    def normalizer(self):
        """A :class:`tokenizers.normalizers.Normalizer`, or None."""
        return normalizers.NFC() if self.nfc else None


# Where several names mean the same, a file is written with the first.
PRE_TOKENIZERS = {
    **dict.fromkeys(("gpt-2", "phi-2"), PreTokenizer(words)),
    **dict.fromkeys(("olmo", "mpt"), PreTokenizer(words, nfc=True)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r"), PreTokenizer(digits)),
    **dict.fromkeys(
        ("llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1"),
        PreTokenizer(split(GPT4), ignore_merges=True, add_bos=True),
    ),
    **dict.fromkeys(("dbrx", "smaug-bpe"), PreTokenizer(split(GPT4))),
    **dict.fromkeys(
        ("qwen2", "stablelm2", "deepseek-r1-qwen"), PreTokenizer(split(QWEN2), nfc=True)
    ),
    "qwen35": PreTokenizer(split(QWEN35), nfc=True),
    **dict.fromkeys(("gpt-4o", "llama4"), PreTokenizer(split(GPT4O))),
    "tekken": PreTokenizer(split(TEKKEN), ignore_merges=True, add_bos=True),
    "deepseek-v3": PreTokenizer(split(*DEEPSEEK3)),
    "falcon": PreTokenizer(split(r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]")),
    "default": PreTokenizer(split(r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]")),
}
