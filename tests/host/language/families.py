"""Small tokenizers as the families' `tokenizer.json` has them: what cuts text is theirs, the
vocabulary is trained on :mod:`.corpus`. And a GGUF file's metadata of each."""

import json
from collections import Counter
from functools import cache

import numpy as np
from gguf import GGUFValueType
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)
from transformers.tokenization_utils_base import generate_merges

from tests.mapper import synthetic

from . import charsmap, corpus


__all__ = [
    "BYTE_LEVEL",
    "FAMILIES",
    "SPECIAL",
    "UNIGRAM",
    "COMPATIBLE",
    "metadata",
    "small",
    "write",
]


VOCAB = 1500
SPECIAL = ("<unk>", *corpus.SPECIAL)
USER = ("<tool>", "<br>")  # tokens that are matched whole, and shown
BYTES = [f"<0x{b:02X}>" for b in range(256)]
SPACE = "\u2581"

# What a unigram model's normalizer replaces, of what NFKC does and of spaces.
COMPATIBLE = {
    **dict.fromkeys("\n\t\r\v\x85\u00a0\u3000\u2003", " "),
    **{"\u2167": "VIII", "\u00bd": "1\u20442", "\uff11": "1", "\uff12": "2", "\u2026": "..."},
}

# The regular expressions of the published files, as they stand there.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|"
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(expression):
    cut = pre_tokenizers.Split(Regex(expression), "isolated")
    return pre_tokenizers.Sequence([cut, byte_level(False)])


def byte_level(words):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=words)


def digits():
    return pre_tokenizers.Sequence([pre_tokenizers.Digits(True), byte_level(True)])


# GGUF's name of the pre-tokenizer, the pre-tokenizer, whether a word that is a token is never
# split, and whether text is composed first.
BYTE_LEVEL = {
    "gpt2": ("gpt-2", lambda: byte_level(True), False, False),
    "smollm2": ("smollm", digits, False, False),
    "llama3": ("llama-bpe", lambda: split(LLAMA3), True, False),
    "qwen2": ("qwen2", lambda: split(QWEN2), False, True),
    "olmo": ("olmo", lambda: byte_level(True), False, True),
    "olmo2": ("dbrx", lambda: split(LLAMA3), False, False),
    "stablelm2": ("stablelm2", lambda: split(QWEN2), False, True),
    "phi4-mini": ("gpt-4o", lambda: split(O200K), False, False),
    "ministral": ("tekken", lambda: split(TEKKEN), True, False),
}


def add_special(out, names=SPECIAL, user=USER):
    out.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    out.add_tokens([AddedToken(name, normalized=False) for name in user])
    return out


def byte_bpe(name):
    _, pre, ignore_merges, nfc = BYTE_LEVEL[name]
    out = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    if nfc:
        out.normalizer = normalizers.NFC()
    out.pre_tokenizer = pre()
    out.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCAB,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    out.train_from_iterator(corpus.strings(special=()), trainer)
    return add_special(out)


@cache
def words():
    """A vocabulary of SentencePiece: bytes, then what BPE merges, then characters."""
    out = Tokenizer(models.BPE())
    out.normalizer = normalizers.Replace(" ", SPACE)
    out.pre_tokenizer = pre_tokenizers.Split(SPACE, "merged_with_next")
    texts = corpus.strings(special=())
    counts = Counter("".join(texts))
    rare = dict.fromkeys(sorted(counts, key=lambda char: (-counts[char], char))[400:])
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, show_progress=False)
    out.train_from_iterator([text.translate(str.maketrans(rare)) for text in texts], trainer)
    names = sorted(out.get_vocab(), key=lambda name: (len(name) == 1, out.token_to_id(name)))
    return [name for name in names if "\n" not in name]


def sentencepiece_bpe(prefix):
    """Of Llama 2, with a space in front of each text, or of Gemma, with tokens for runs of
    spaces."""
    runs = [] if prefix else ["\n", "\n\n", *(SPACE * n for n in range(2, 9))]
    names = [*SPECIAL, *USER, *BYTES, *runs]
    names += [name for name in words() if name not in names]
    vocab = {name: n for n, name in enumerate(names)}
    scores = {name: 0.0 if name in runs else -float(n) for name, n in vocab.items()}
    merges = generate_merges(vocab, scores, {*SPECIAL, *USER, *BYTES})
    out = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", SPACE)
    back = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
        out.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), replace])
        out.decoder = decoders.Sequence([*back, decoders.Strip(" ", 1, 0)])
    else:
        out.normalizer = replace
        out.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        out.decoder = decoders.Sequence(back)
    return add_special(out, user=(*USER, *runs))


def unigram(fallback):
    """As T5 has it; with `fallback`, with tokens for bytes."""
    out = Tokenizer(models.Unigram())
    out.normalizer = normalizers.Sequence(
        [
            normalizers.Precompiled(charsmap.table(COMPATIBLE)),
            normalizers.Strip(False, True),
            normalizers.Replace(Regex(" {2,}"), SPACE),
        ]
    )
    out.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=VOCAB, show_progress=False, special_tokens=list(SPECIAL), unk_token="<unk>"
    )
    out.train_from_iterator(corpus.strings(special=()), trainer)
    if fallback:
        about = json.loads(out.model.__getstate__())
        vocab = [tuple(its) for its in about["vocab"]] + [(name, 0.0) for name in BYTES]
        out.model = models.Unigram(vocab, about["unk_id"], True)
    back = [decoders.ByteFallback()] if fallback else []
    out.decoder = decoders.Sequence([*back, decoders.Metaspace()])
    return add_special(out)


UNIGRAM = ("t5", "t5-bytes")
FAMILIES = (*BYTE_LEVEL, "llama2", "gemma", *UNIGRAM)


@cache
def small(name):
    """The :class:`tokenizers.Tokenizer` of a family."""
    if name in BYTE_LEVEL:
        return byte_bpe(name)
    if name in UNIGRAM:
        return unigram(name == "t5-bytes")
    return sentencepiece_bpe(name == "llama2")


@cache
def metadata(name):
    """Metadata of a GGUF file with a family's tokenizer, as llama.cpp's converter writes it."""
    about, key = json.loads(small(name).to_str()), "tokenizer.ggml."
    vocab, special = small(name).get_vocab(), {t["content"]: t for t in about["added_tokens"]}
    names, kind = sorted(vocab, key=lambda token: vocab[token]), Kind(name)
    types = [
        (2 if token == "<unk>" and kind.scores else 3 if special[token]["special"] else 4)
        if token in special
        else 6
        if token in BYTES and kind.scores
        else 1
        for token in names
    ]
    out = {
        f"{key}model": kind.model,
        f"{key}pre": kind.pre,
        f"{key}token_type": types,
        f"{key}bos_token_id": vocab["<s>"],
        f"{key}eos_token_id": vocab["</s>"],
        f"{key}add_bos_token": False,
        f"{key}add_eos_token": False,
        "llama.vocab_size": len(names),
    }
    if kind.scores:
        out |= {
            f"{key}scores": kind.scores(about["model"], names),
            f"{key}unknown_token_id": vocab["<unk>"],
            f"{key}add_space_prefix": name != "gemma",
            f"{key}remove_extra_whitespaces": name in UNIGRAM,
            f"{key}precompiled_charsmap": (charsmap.table(COMPATIBLE), GGUFValueType.ARRAY)
            if name in UNIGRAM
            else None,
            f"{key}merges": None,
        }
    else:
        out[f"{key}merges"] = [" ".join(pair) for pair in about["model"]["merges"]]
    # Spaces of tokens that are matched whole stand as they are.
    out[f"{key}tokens"] = [
        token.replace(SPACE, " ") if its == 4 and kind.scores else token
        for token, its in zip(names, types)
    ]
    return out


def write(path, name, **more):
    """Write a GGUF file with a family's tokenizer, and with a model that has no meaning. `more`
    is metadata, without ``tokenizer.ggml.``."""
    about = metadata(name) | {f"tokenizer.ggml.{key}": value for key, value in more.items()}
    rows = np.zeros((about["llama.vocab_size"], synthetic.HIDDEN), np.float32)
    return synthetic.write(path, metadata=about, tensors={"token_embd.weight": rows})


class Kind:
    """What GGUF says of a family: `model`, `pre`, and a function that finds `scores`, or None."""

    def __init__(self, name):
        self.model, self.pre, self.scores = "gpt2", "default", None
        if name in BYTE_LEVEL:
            self.pre = BYTE_LEVEL[name][0]
        elif name in UNIGRAM:
            self.model = "t5"
            self.scores = lambda model, names: (
                [float(score) for _, score in model["vocab"]] + [0.0] * len(names)
            )[: len(names)]
        else:
            self.model = "llama"
            self.scores = lambda model, names: [
                0.0 if set(token) <= {SPACE, "\n"} and len(token) > 1 else -float(n)
                for n, token in enumerate(names)
            ]
