"""The tokens of a GGUF file, whatever merges them: names, types, scores."""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import NoReturn

from tokenizers import AddedToken

from host.errors import UserError

from .special import hidden, plain, shown


__all__ = ["Type", "Vocabulary", "check_scores", "refuse"]


class Type(IntEnum):
    """GGUF's types of tokens, which are SentencePiece's."""

    NORMAL = 1
    UNKNOWN = 2  # stands for what has no token
    CONTROL = 3  # matched whole, not shown
    USER_DEFINED = 4  # matched whole
    UNUSED = 5
    BYTE = 6


def refuse(what) -> NoReturn:
    """Refuse tables that no tokenizer has."""
    raise UserError(f"tokenizer: {what}; the model file is damaged")


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id.

    Attributes
    ----------
    names : list of :class:`str`
        Each once.
    types : list of :class:`int`
        Of :class:`Type`, or others, which mean nothing.
    scores : list of :class:`float`
        Of SentencePiece, higher for what is merged, or taken, first. Zeros where a file has none.
    unknown_id : :class:`int` or None
        Token that stands for what has none; None for the first of that type.
    """

    names: list[str]
    types: list[int]
    scores: list[float]
    unknown_id: int | None = None

    @classmethod
    def of(cls, what):
        """The vocabulary in GGUF's tables.

        As llama.cpp has it, a token without a name gets one, and a name that marks an end makes a
        control token.
        """
        names, types = what["tokens"], what["types"]
        scores = what.get("scores") or [0.0] * len(names)
        for about, of_tokens in ("type", types), ("score", scores):
            if len(of_tokens) != len(names):
                refuse(f"each of its {len(names)} tokens must have a {about}, not {len(of_tokens)}")
        if not all(isinstance(name, str) for name in names):
            refuse("its tokens must be text")
        if not all(math.isfinite(score) for score in scores):
            refuse("the scores of its tokens must be finite")
        names = [name or f"[EMPTY_{n}]" for n, name in enumerate(names)]
        if len(set(names)) != len(names):
            seen = set()
            twice = next(name for name in names if name in seen or seen.add(name))
            refuse(f"every token must appear once, {twice[:40]!r} appears again")
        ids = {name: n for n, name in enumerate(names)}
        types: list[int] = list(types)
        for its, found in (
            (Type.CONTROL, hidden(ids)),
            (Type.USER_DEFINED, shown(ids)),
            (Type.NORMAL, (ids[name] for name in plain(ids))),
        ):
            for n in found:
                types[n] = its
        return cls(names, types, [float(score) for score in scores], what.get("unknown"))

    @property
    def ids(self):
        """Ids by name."""
        return {name: n for n, name in enumerate(self.names)}

    def of_type(self, *types):
        """Names of tokens of some types."""
        return [name for name, its in zip(self.names, self.types) if its in types]

    @property
    def unknown(self):
        """Name of the token that stands for what has none, or None."""
        if self.unknown_id is not None:
            return self.names[self.unknown_id]
        return next(iter(self.of_type(Type.UNKNOWN)), None)

    @property
    def bytes(self):
        """Whether each byte has a token, for what has none."""
        return {f"<0x{b:02X}>" for b in range(256)} <= set(self.names)

    def add_special(self, tokenizer, rstrip=False):
        """Make a tokenizer match whole what has to be; with `rstrip`, spaces behind it too."""
        kept = {"<unk>", "<s>", "<|endoftext|>"}  # which llama.cpp leaves alone
        for special, types in (
            (True, (Type.CONTROL, Type.UNKNOWN)),
            (False, (Type.USER_DEFINED,)),
        ):
            tokenizer.add_tokens(
                [
                    AddedToken(
                        name,
                        special=special,
                        normalized=False,
                        rstrip=rstrip and name not in kept,
                    )
                    for name in self.of_type(*types)
                ]
            )


def check_scores(vocabulary):
    """Refuse tokens whose scores say nothing: some converters write the same for all."""
    if len(set(vocabulary.scores)) < min(2, len(vocabulary.names)):
        raise UserError(
            "tokenizer: its tokens must have scores that differ, which say what is merged first; "
            "use a safetensors folder with a tokenizer.json"
        )
