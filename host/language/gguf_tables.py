"""GGUF's tables of a tokenizer that came as a `tokenizer.json`: the inverse of
:mod:`.tokenizer`'s reading of them."""

import json

from host.errors import UserError

from .tokenizer import CONTROL, IGNORE_MERGES, PRE_TOKENIZERS, USER_DEFINED


__all__ = ["tables"]


NORMAL, UNUSED = 1, 5  # GGUF's token types, besides


def refuse(what):
    raise UserError(
        f"tokenizer: it must be byte-level BPE that GGUF describes: {what}; give a GGUF file "
        "instead"
    )


def without_offsets(about):
    """A pre-tokenizer's description without what changes no token."""
    if isinstance(about, dict):
        return {k: without_offsets(v) for k, v in about.items() if k != "trim_offsets"}
    return [without_offsets(v) for v in about] if isinstance(about, list) else about


def pre_tokenizer(about):
    """GGUF's name of how a tokenizer cuts text."""
    for name, make in PRE_TOKENIZERS.items():
        its = json.loads(make().__getstate__())
        if without_offsets(its) == without_offsets(about["pre_tokenizer"]):
            if bool(about["model"].get("ignore_merges")) != (name in IGNORE_MERGES):
                refuse(f"'ignore_merges' must be {name in IGNORE_MERGES} with {name}")
            return name
    refuse(f"its pre-tokenizer must be {' or '.join(PRE_TOKENIZERS)}")


def check(about):
    """Refuse a `tokenizer.json` that the tables cannot say."""
    model = about["model"]
    if model["type"] != "BPE":
        refuse(f"its model must be BPE, not {model['type']}")
    for key in "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback", "dropout":
        if model.get(key):
            refuse(f"{key!r} must be off, not {model[key]!r}")
    if about.get("normalizer") is not None:
        refuse(f"'normalizer' must be null, not {about['normalizer'].get('type')}")
    for token in about["added_tokens"]:
        for key in "lstrip", "rstrip", "single_word":
            if token[key]:
                refuse(f"{key!r} of token {token['content']!r} must be false")


def tables(inner, size):
    """Tokens, their types, merges and the pre-tokenizer's name, of `size` tokens.

    Parameters
    ----------
    inner : :class:`tokenizers.Tokenizer`
    size : :class:`int`
        Rows of the model's embedding. Ids without a token get a name that no text has.
    """
    about = json.loads(inner.to_str())
    check(about)
    types = dict.fromkeys(about["model"]["vocab"].values(), NORMAL)
    names = {n: token for token, n in about["model"]["vocab"].items()}
    for token in about["added_tokens"]:
        names[token["id"]] = token["content"]
        types[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    if names and max(names) >= size:
        refuse(f"its tokens must be at most the embedding's {size} rows, not {max(names) + 1}")
    merges = [m if isinstance(m, str) else " ".join(m) for m in about["model"]["merges"]]
    for merge in merges:
        if merge.count(" ") != 1:
            refuse(f"a merge must join two tokens without spaces, not {merge!r}")
    return {
        "pre": pre_tokenizer(about),
        "tokens": [names.get(n, f"[PAD{n}]") for n in range(size)],
        "types": [types.get(n, UNUSED) for n in range(size)],
        "merges": merges,
    }
