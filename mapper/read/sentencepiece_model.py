"""Read SentencePiece's own file, `tokenizer.model`, of folders that have no `tokenizer.json`.

It is a protobuf message, `ModelProto` of sentencepiece_model.proto; of its fields, those that say
how text is cut are read.
"""

import base64
import struct

from host.errors import UserError

from .bounds import brief


__all__ = ["read"]


NAME = "tokenizer.model"
UNIGRAM, BPE = 1, 2  # of TrainerSpec.ModelType
CONTROL, USER_DEFINED = 3, 4  # of SentencePiece.Type, which are GGUF's
ADVICE = (
    "make a tokenizer.json, as AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of "
    "transformers does"
)


def varint(data, at):
    """(an integer of seven bits a byte, the lowest first; where it ends)."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("an integer of more than 64 bits")


def fields(data):
    """(number, value) of each field of a message: an integer, or bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = varint(data, at)
        else:
            if kind == 2:
                size, at = varint(data, at)
            else:
                size = {1: 8, 5: 4}[kind]
            value, at = data[at : at + size], at + size
            if at > len(data):
                raise ValueError("a field ends behind the file's end")
        yield number, value


def message(data, **names):
    """The last value of each field that `names` has a number and a default of."""
    found = dict(fields(data))
    out = {name: found.get(number, default) for name, (number, default) in names.items()}
    for name, (_, default) in names.items():
        if not isinstance(out[name], type(default)):
            raise ValueError(f"a field {name} of another type")
    return out


def piece(data):
    """A token's name, score and type."""
    its = message(data, name=(1, b""), score=(2, bytes(4)), type=(3, 1))
    return its["name"].decode(), struct.unpack("<f", its["score"])[0], its["type"]


def parse(data):
    """Tokens, how they were trained, and how text is normalized."""
    parts = list(fields(data))
    pieces = [piece(value) for number, value in parts if number == 1]
    by_number = dict(parts)
    trained = message(
        by_number.get(2, b""), model_type=(3, UNIGRAM), suffix=(24, 0), unk=(40, 0), eos=(42, 2)
    )
    normal = message(
        by_number.get(3, b""), charsmap=(2, b""), prefix=(3, 1), merge_spaces=(4, 1), escape=(5, 1)
    )
    return pieces, trained, normal


def added(folder, about):
    """(id, name, type) of tokens that the folder's other files add."""
    found = {}
    for name, token in folder.optional("added_tokens.json").items():
        found[token] = name, USER_DEFINED
    listed = about.get("added_tokens_decoder", {})
    for token, its in listed.items() if isinstance(listed, dict) else ():
        if not isinstance(its, dict) or not token.isdecimal():
            raise UserError(
                f"{folder.path}: 'added_tokens_decoder' must have tokens by id, not {brief(its)}"
            )
        found[int(token)] = its.get("content"), CONTROL if its.get("special") else USER_DEFINED
    return sorted((token, *its) for token, its in found.items())


def read(folder, about):
    """What :meth:`host.language.tokenizer.Tokenizer.from_json` takes, of a `tokenizer.model`.

    `about` is `tokenizer_config.json`.
    """
    path = folder.path / NAME
    try:
        pieces, trained, normal = parse(folder.content(NAME))
    except (ValueError, IndexError, KeyError, TypeError, struct.error, AttributeError):
        raise UserError(f"{path}: must be SentencePiece's file, it is damaged; {ADVICE}") from None
    kind = {UNIGRAM: "t5", BPE: "llama"}.get(trained["model_type"])
    if kind is None or trained["suffix"] or not normal["escape"]:
        raise UserError(f"{path}: must be BPE or unigram with spaces before words; {ADVICE}")
    names, scores, types = (list(its) for its in zip(*pieces)) if pieces else ([], [], [])
    for token, name, its in added(folder, about):
        if not isinstance(token, int) or not isinstance(name, str) or token > len(names):
            raise UserError(f"{folder.path}: added token {brief(name)} must follow the others")
        if token == len(names):
            names.append(name)
            scores.append(0.0)
            types.append(its)
        elif names[token] == name:
            types[token] = its
    tables = {
        "model": kind,
        "tokens": names,
        "scores": scores,
        "types": types,
        "add_space_prefix": bool(normal["prefix"]),
        "remove_extra_whitespaces": bool(normal["merge_spaces"]),
        "charsmap": base64.b64encode(normal["charsmap"]).decode(),
    }
    return {"gguf": tables}
