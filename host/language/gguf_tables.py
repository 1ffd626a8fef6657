"""GGUF's tables of a tokenizer that came as a `tokenizer.json`: the inverse of
:mod:`host.language.gguf_tokenizers`' reading of them.

What the tables cannot say is refused: a file that is written gives the same tokens.
"""

import json
from typing import Any, NoReturn

from tokenizers import Regex, normalizers

from host.errors import UserError

from .gguf_tokenizers import spaces
from .gguf_tokenizers.pre_tokenizers import PRE_TOKENIZERS
from .gguf_tokenizers.sentencepiece_bpe import merges_of
from .gguf_tokenizers.vocabulary import Type, Vocabulary


__all__ = ["tables"]


def refuse(what) -> NoReturn:
    raise UserError(
        f"tokenizer: it must be byte-level BPE, SentencePiece BPE or unigram that GGUF describes: "
        f"{what}; give a GGUF file instead"
    )


def state(part) -> Any:
    """Description of one of the library's objects, or None."""
    return None if part is None else json.loads(part.__getstate__())


def without_offsets(about):
    """A pre-tokenizer's description without what changes no token."""
    if isinstance(about, dict):
        return {k: without_offsets(v) for k, v in about.items() if k != "trim_offsets"}
    return [without_offsets(v) for v in about] if isinstance(about, list) else about


def byte_bpe(about, names, types):
    """Tables of byte-level BPE: merges, and GGUF's name of how text is cut."""
    model = about["model"]
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    for merge in merges:
        if merge.count(" ") != 1:
            refuse(f"a merge must join two tokens without spaces, not {merge!r}")
    its = without_offsets(about["pre_tokenizer"])
    normalizer = about["normalizer"]
    found = {n: p for n, p in PRE_TOKENIZERS.items() if without_offsets(state(p.make())) == its}
    if not found:
        refuse(f"its pre-tokenizer must be {' or '.join(PRE_TOKENIZERS)}")
    found = {n: p for n, p in found.items() if state(p.normalizer) == normalizer} or refuse(
        f"'normalizer' must be that of {' or '.join(found)}, not {(normalizer or {}).get('type')}"
    )
    ignore = bool(model.get("ignore_merges"))
    for name, pre in found.items():
        if pre.ignore_merges == ignore:
            return {"model": "gpt2", "pre": name, "merges": merges}
    refuse(f"'ignore_merges' must be {not ignore} with {' or '.join(found)}")


def check_whole(about):
    """Refuse tokens that SentencePiece's tables cannot say: they match what was normalized."""
    for token in about["added_tokens"]:
        if token["normalized"]:
            refuse(f"'normalized' of token {token['content']!r} must be false")


def scores_of(merges):
    """A score for each token that a list of merges makes. Tokens whose merges take turns have the
    same one."""
    first, last = {}, {}
    for rank, pair in enumerate(merges):
        name = "".join(pair)
        first.setdefault(name, rank)
        last[name] = rank
    scores, score, end = {}, 0.0, -1
    for name, rank in first.items():  # in ascending order
        if rank > end:
            score = -float(rank + 1)
        scores[name], end = score, max(end, last[name])
    return scores


def sentencepiece_bpe(about, names, types):
    """Tables of SentencePiece BPE: scores, whose order is that of the merges."""
    check_whole(about)
    merges = [tuple(m.split(" ") if isinstance(m, str) else m) for m in about["model"]["merges"]]
    scores = dict.fromkeys(names, 0.0) | scores_of(merges)
    out = {"model": "llama", "scores": [scores[name] for name in names]}
    if merges_of(Vocabulary(names, types, out["scores"])) != merges:
        refuse("its merges must be all pairs of tokens that make a third, in the order of scores")
    pre = about["pre_tokenizer"]  # to cut at spaces, of which the normalizer leaves none, is none
    if pre is not None and (pre["type"], pre.get("pattern")) != ("Split", {"String": " "}):
        refuse(f"its pre-tokenizer must be null, not {pre['type']}")
    for prefix in False, True:
        its = state(spaces.normalizer({"add_space_prefix": prefix}))
        if about["normalizer"] in (its, its["normalizers"][0] if not prefix else its):
            break
    else:
        refuse("'normalizer' must turn spaces into U+2581, one in front of each text or of none")
    # Spaces of tokens that are matched whole stand as they are: so does llama.cpp's converter.
    spaced = [
        name.replace(spaces.SPACE, " ")
        if its == Type.USER_DEFINED and set(name) == {spaces.SPACE}
        else name
        for name, its in zip(names, types)
    ]
    return {**out, "add_space_prefix": prefix, "tokens": spaced}


def cleaned(about):
    """What GGUF says of a unigram model's normalizer: its table, and whether it merges spaces."""
    its = about["normalizer"]
    steps = [] if its is None else its.get("normalizers", [its])
    charsmap = steps[0].get("precompiled_charsmap", "") if steps else ""
    for merge in False, True:
        what = {"charsmap": charsmap, "remove_extra_whitespaces": merge}
        forms = [spaces.cleaning(what)]
        if merge and charsmap:  # as T5 has it, whose table makes spaces of all that are like them
            again = normalizers.Replace(Regex(" {2,}"), spaces.SPACE)
            forms.append([*spaces.cleaning(what)[:1], normalizers.Strip(False, True), again])
        if steps in [[state(step) for step in form] for form in forms]:
            return what
    refuse("'normalizer' must be SentencePiece's")


def unigram(about, names, types):
    """Tables of a unigram model: its scores."""
    check_whole(about)
    model = about["model"]
    if model["unk_id"] is None:
        refuse("it must have a token that stands for what has none")
    types[model["unk_id"]] = Type.UNKNOWN
    pre = {k: v for k, v in (about["pre_tokenizer"] or {}).items() if k != "split"}
    for prefix in False, True:
        its = state(spaces.joined({"add_space_prefix": prefix}))
        if pre == {k: v for k, v in its.items() if k != "split"}:
            break
    else:
        refuse("its pre-tokenizer must be Metaspace, with a space in front of each text or of none")
    scores = [score for _, score in model["vocab"]]
    scores += [0.0] * (len(names) - len(scores))
    return {"model": "t5", "scores": scores, "add_space_prefix": prefix, **cleaned(about)}


def kind_of(about):
    """Which of the above describes a `tokenizer.json`."""
    model = about["model"]
    if model["type"] == "Unigram":
        return unigram
    if model["type"] != "BPE":
        refuse(f"its model must be BPE or Unigram, not {model['type']}")
    for key in "continuing_subword_prefix", "end_of_word_suffix", "dropout":
        if model.get(key):
            refuse(f"{key!r} must be off, not {model[key]!r}")
    return sentencepiece_bpe if model.get("byte_fallback") else byte_bpe


def tables(inner, size):
    """What :func:`host.language.gguf_tokenizers.build` takes, of `size` tokens.

    Parameters
    ----------
    inner : :class:`tokenizers.Tokenizer`
    size : :class:`int`
        Rows of the model's embedding. Ids without a token get a name that no text has.
    """
    about = json.loads(inner.to_str())
    kind, model = kind_of(about), about["model"]
    vocab = (
        {name: n for n, (name, _) in enumerate(model["vocab"])}
        if model["type"] == "Unigram"
        else model["vocab"]
    )
    found = {n: name for name, n in vocab.items()}
    its = dict.fromkeys(vocab.values(), Type.NORMAL)
    if kind is not byte_bpe:
        its |= {vocab[f"<0x{b:02X}>"]: Type.BYTE for b in range(256) if f"<0x{b:02X}>" in vocab}
    for token in about["added_tokens"]:
        if token["id"] >= size and token["content"] not in vocab:
            continue  # such as one for images: the model knows no embedding of it
        for key in "lstrip", "rstrip", "single_word":
            if token[key]:
                refuse(f"{key!r} of token {token['content']!r} must be false")
        found[token["id"]] = token["content"]
        its[token["id"]] = Type.CONTROL if token["special"] else Type.USER_DEFINED
    if kind is not byte_bpe and model.get("unk_token") in vocab:
        its[vocab[model["unk_token"]]] = Type.UNKNOWN
    if found and max(found) >= size:
        refuse(f"its tokens must be at most the embedding's {size} rows, not {max(found) + 1}")
    names = [found.get(n, f"[PAD{n}]") for n in range(size)]
    types = [its.get(n, Type.UNUSED) for n in range(size)]
    more = kind(about, names, types)
    return {"tokens": names, "types": [int(n) for n in types], **more}
