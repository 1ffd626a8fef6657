"""A GGUF file's tokenizer: its tables, and which tokens begin and end texts."""

import base64
import json
from typing import Any

import numpy as np

from host.errors import UserError
from host.language.gguf_tokenizers.special import defaults, ends


__all__ = ["ENDS", "special_tokens", "tokenizer_json"]


KEY = "tokenizer.ggml."
# Keys of tokens that end an answer, which llama.cpp reads too: of a text, a message, a turn.
ENDS = ("eos_token_id", "eom_token_id", "eot_token_id")
# Names of tokens that templates know.
NAMES = {"bos_token": "bos_token_id", "eos_token": "eos_token_id", "unk_token": "unknown_token_id"}


def kind_of(file):
    """A file's kind and pre-tokenizer, by GGUF's names."""
    model = file.of_type(KEY + "model", str)
    # llama.cpp takes a name that is empty as none.
    return model, file.of_type(KEY + "pre", str, default="") or "default"


def numbers(file, name, kinds, count, default):
    """A table of a number for each of `count` tokens; `kinds` are numpy's, and their name."""
    values = file.of_type(KEY + name, np.ndarray, default=default)
    if values.dtype.kind not in kinds[0]:
        raise UserError(
            f"{file.path}: metadata '{KEY}{name}' must be {kinds[1]}, not {values.dtype}"
        )
    if len(values) != count:
        raise UserError(
            f"{file.path}: metadata '{KEY}{name}' must be as many as the embedding's {count} rows, "
            f"not {len(values)}"
        )
    return values.tolist()


def strings(file, name, default=None):
    """A table of texts."""
    values = file.of_type(KEY + name, list, default=default)
    if not all(isinstance(value, str) for value in values):
        raise UserError(f"{file.path}: metadata '{KEY}{name}' must be texts")
    return values


def special(file, name, vocab):
    """The token of a key, what llama.cpp takes where it is missing, or None."""
    model, pre = kind_of(file)
    silent = {"bos_token_id": defaults(model, pre).bos, "eos_token_id": defaults(model, pre).eos}
    if KEY + name in file.metadata:
        return file.integer(KEY + name, 0, vocab - 1)
    token = silent.get(name)
    return token if token is not None and token < vocab else None


def adds(file, what, vocab):
    """The token `what`, ``"bos"`` or ``"eos"``, if it is added to each text, otherwise None."""
    model, pre = kind_of(file)
    silent = getattr(defaults(model, pre), f"add_{what}")
    if not file.of_type(f"{KEY}add_{what}_token", bool, default=silent):
        return None
    token = special(file, f"{what}_token_id", vocab)
    if token is None:
        raise UserError(
            f"{file.path}: metadata '{KEY}{what}_token_id' is missing, which "
            f"'{KEY}add_{what}_token' adds to each text"
        )
    return token


def special_tokens(file, vocab):
    """(tokens that end an answer, token before every prompt or None), as llama.cpp has them."""
    keys = (special(file, name, vocab) for name in ENDS)
    names = strings(file, "tokens")
    by_name = ends({name: n for n, name in enumerate(names)})
    return (
        tuple(dict.fromkeys([*(n for n in keys if n is not None), *by_name])),
        adds(file, "bos", vocab),
    )


def charsmap(file):
    """SentencePiece's table of a normalizer, in base64."""
    values = file.of_type(KEY + "precompiled_charsmap", np.ndarray, default=np.zeros(0, np.uint8))
    if values.dtype.itemsize != 1:
        raise UserError(
            f"{file.path}: metadata '{KEY}precompiled_charsmap' must be bytes, not {values.dtype}"
        )
    return base64.b64encode(values.tobytes()).decode()


def tables(file, vocab):
    """What :func:`host.language.gguf_tokenizers.build` takes."""
    model, pre = kind_of(file)
    tokens = strings(file, "tokens")
    if len(tokens) != vocab:
        raise UserError(
            f"{file.path}: metadata '{KEY}tokens' must be as many as the embedding's {vocab} rows, "
            f"not {len(tokens)}"
        )
    types = numbers(file, "token_type", ("iu", "integers"), vocab, np.ones(vocab, int))
    out = {"model": model, "pre": pre, "tokens": tokens, "types": types}
    if model == "gpt2":
        out["merges"] = strings(file, "merges", default=[])
    else:
        out["scores"] = numbers(file, "scores", ("fiu", "numbers"), vocab, np.zeros(vocab))
        for key, silent in (
            ("add_space_prefix", defaults(model, pre).add_space_prefix),
            ("remove_extra_whitespaces", False),
        ):
            out[key] = file.of_type(KEY + key, bool, default=silent)
        out["unknown"] = special(file, "unknown_token_id", vocab)
    if model == "t5":
        out["charsmap"] = charsmap(file)
        # llama.cpp puts a space before each word where it merges spaces, the first one included.
        out["add_space_prefix"] |= out["remove_extra_whitespaces"]
    else:
        out.pop("remove_extra_whitespaces", None)  # llama.cpp keeps them
    # llama.cpp, too, knows by the name alone that this family's tokens take the spaces behind them.
    name = file.of_type("general.name", str, default="").lower()
    if "phi-3" in name or "phi3" in name:
        out["rstrip"] = True
    return out


def tokenizer_json(file, vocab):
    """What :meth:`host.language.tokenizer.Tokenizer.from_json` needs of the metadata."""
    found = tables(file, vocab)
    about: dict[str, Any] = {"gguf": found}
    end = adds(file, "eos", vocab)
    if end is not None:
        about["suffix"] = [end]
    named = {name: special(file, key, vocab) for name, key in NAMES.items()}
    about["names"] = {k: found["tokens"][n] for k, n in named.items() if n is not None}
    return json.dumps(about, ensure_ascii=False)
