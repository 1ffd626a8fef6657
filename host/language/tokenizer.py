"""Text to tokens and back, from what a model file says of its tokenizer.

The library `tokenizers` cuts and merges (:attr:`Tokenizer.inner`); here it is set up, from GGUF's
tables or Hugging Face's `tokenizer.json`.
"""

import json

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers

from host.errors import UserError

from .templates import Templates


__all__ = ["Tokenizer", "TextStream"]


CONTROL, USER_DEFINED = 3, 4  # GGUF's token types that are matched whole

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_level(use_regex):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


# How text is cut before merging, by GGUF's name: as llama.cpp's llama-vocab.cpp.
PRE_TOKENIZERS = {
    "gpt-2": lambda: byte_level(True),
    "smollm": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), byte_level(True)]
    ),
    "llama-bpe": lambda: pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), byte_level(False)]
    ),
}
IGNORE_MERGES = ("llama-bpe",)  # with these, a word that is a token is never split


def from_gguf(what):
    """Build a byte-level BPE tokenizer from GGUF's metadata."""
    if what["model"] != "gpt2":
        raise UserError(
            f"tokenizer: its model must be 'gpt2' (byte-level BPE), not "
            f"{what['model']!r}; use a safetensors folder with a tokenizer.json"
        )
    if what["pre"] not in PRE_TOKENIZERS:
        raise UserError(
            f"tokenizer: its pre-tokenizer must be {' or '.join(PRE_TOKENIZERS)}, not "
            f"{what['pre']!r}; use a safetensors folder with a tokenizer.json"
        )
    vocab = {token: n for n, token in enumerate(what["tokens"])}
    if len(vocab) != len(what["tokens"]):
        raise UserError("tokenizer: every token must appear once; the model file is damaged")
    merges = [tuple(merge.split(" ")) for merge in what["merges"]]
    try:
        model = models.BPE(vocab, merges, ignore_merges=what["pre"] in IGNORE_MERGES)
    except Exception:  # the library's, which does not always say which merge it is
        for merge in merges:
            if len(merge) != 2 or not {*merge, "".join(merge)} <= vocab.keys():
                raise UserError(
                    f"tokenizer: a merge must join two tokens to a third, not "
                    f"{' '.join(merge)!r}; the model file is damaged"
                ) from None
        raise
    out = tokenizers.Tokenizer(model)
    out.pre_tokenizer = PRE_TOKENIZERS[what["pre"]]()
    out.decoder = decoders.ByteLevel()
    for kind, special in (CONTROL, True), (USER_DEFINED, False):
        out.add_tokens(
            [
                AddedToken(t, special=special, normalized=False)
                for t, n in zip(what["tokens"], what["types"])
                if n == kind and t
            ]
        )
    return out


class Tokenizer:
    """A model's tokenizer and its conversation format.

    Parameters
    ----------
    inner : :class:`tokenizers.Tokenizer`
    bos : :class:`int` or None
        Token put before every prompt.
    eos : sequence of :class:`int`
        Tokens that end an answer.
    chat_template : :class:`str` or None
        Jinja template, as in a Hugging Face `tokenizer_config.json`.
    """

    def __init__(self, inner, *, bos=None, eos=(), chat_template=None):
        self.inner, self.bos, self.eos, self.chat_template = inner, bos, tuple(eos), chat_template
        self.templates = Templates()

    @classmethod
    def from_json(cls, text, **kwargs):
        """Build from ``{"gguf": metadata}`` or ``{"huggingface": tokenizer.json}``."""
        try:
            what = json.loads(text)
            inner = (
                from_gguf(what["gguf"])
                if "gguf" in what
                else tokenizers.Tokenizer.from_str(json.dumps(what["huggingface"]))
            )
        except (UserError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library's: bare Exception, and panics, which are none
            line = " ".join(str(error).split())
            raise UserError(f"tokenizer: the model file's description is damaged: {line}") from None
        # A file may keep what its training cut or filled texts to; a prompt is taken as it is.
        inner.no_truncation()
        inner.no_padding()
        tokenizer = cls(inner, **kwargs)
        if tokenizer.bos is None and "huggingface" in what:
            # Newer files say it in the tokenizer alone.
            added = inner.encode("").ids
            tokenizer.bos = added[0] if len(added) == 1 else None
        return tokenizer

    def encode(self, text):
        """Tokens of a text, in which the names of special tokens stand for these."""
        ids = self.continuation(text)
        return ids if self.bos is None or ids[:1] == [self.bos] else [self.bos, *ids]

    def continuation(self, text):
        """Tokens of a text that goes on where others ended."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError("prompt: must be UTF-8 text, not bytes that are none") from None
        return self.inner.encode(text, add_special_tokens=False).ids

    def decode(self, ids, special=False):
        """Text of tokens; with `special`, the names of special tokens too."""
        return self.inner.decode(list(ids), skip_special_tokens=not special)

    def chat(self, messages, answer=True):
        """Text of a conversation, up to where the model's answer begins if `answer`.

        `messages` are dicts with `role` (system, user, assistant) and `content`.
        """
        if not self.chat_template:
            raise UserError("chat: the model file has no chat template")
        name = {"bos_token": self.bos, "eos_token": self.eos[0] if self.eos else None}
        return self.templates.render(
            self.chat_template,
            messages=messages,
            add_generation_prompt=answer,
            tools=None,
            documents=None,
            **{k: "" if n is None else self.inner.id_to_token(n) for k, n in name.items()},
        )


class TextStream:
    """Text of tokens that come one by one. A character is held until all its bytes are there."""

    def __init__(self, tokenizer):
        self.tokenizer, self.ids, self.start, self.shown = tokenizer, [], 0, ""

    def add(self, token):
        """Take a token, return the text that is complete with it."""
        self.ids.append(token)
        text = self.tokenizer.decode(self.ids[self.start :])
        return "" if text.endswith("\ufffd") else self.advance(text)

    def finish(self):
        """Return the text that is left, with a mark for a character cut short."""
        return self.advance(self.tokenizer.decode(self.ids[self.start :]))

    def advance(self, text):
        new = text[len(self.shown) :]
        # The last token stays in what is decoded next: spacing may depend on what came before.
        self.start = max(0, len(self.ids) - 1)
        self.shown = self.tokenizer.decode(self.ids[self.start :])
        return new
