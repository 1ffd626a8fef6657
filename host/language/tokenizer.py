"""Text to tokens and back, from what a model file says of its tokenizer.

The library `tokenizers` cuts and merges (:attr:`Tokenizer.inner`). It is set up from GGUF's tables
(:mod:`host.language.gguf_tokenizers`), or from Hugging Face's `tokenizer.json`, as it is.
"""

import json
from functools import cached_property

import tokenizers

from host.errors import UserError

from . import gguf_tokenizers
from .templates import Templates


__all__ = ["Tokenizer"]


PROBE = "a"  # a text that shows what a tokenizer adds


def added(inner):
    """Tokens that a tokenizer puts before every text, and behind."""
    plain = inner.encode(PROBE, add_special_tokens=False).ids
    whole = inner.encode(PROBE).ids
    for start in range(len(whole) - len(plain) + 1):
        if whole[start : start + len(plain)] == plain:
            return whole[:start], whole[start + len(plain) :]
    return [], []


def without_prefix(part):
    """A description of normalizers or pre-tokenizers that put no space before a text."""
    if isinstance(part, list):
        kept = (without_prefix(its) for its in part)
        return [its for its in kept if its is not None]
    if not isinstance(part, dict):
        return part
    if part.get("type") == "Prepend":
        return None
    changed = {"prepend_scheme": "never"} if part.get("type") == "Metaspace" else {}
    return {key: without_prefix(its) for key, its in part.items()} | changed


def continuing(inner):
    """A tokenizer that puts no space before a text, as one does where a text begins."""
    parts = {"normalizer": inner.normalizer, "pre_tokenizer": inner.pre_tokenizer}
    about = {key: json.loads(part.__getstate__()) for key, part in parts.items() if part}
    changed = {key: without_prefix(its) for key, its in about.items()}
    if changed == about:
        return inner
    return tokenizers.Tokenizer.from_str(json.dumps(json.loads(inner.to_str()) | changed))


class Tokenizer:
    """A model's tokenizer and its conversation format.

    Parameters
    ----------
    inner : :class:`tokenizers.Tokenizer`
    bos : :class:`int` or None
        Token put before every text.
    eos : sequence of :class:`int`
        Tokens that end an answer.
    chat_template : :class:`str` or None
        Jinja template, as in a Hugging Face `tokenizer_config.json`.
    suffix : sequence of :class:`int`
        Tokens put behind every text that is not a conversation.
    names : mapping of :class:`str` to :class:`str`
        Special tokens by the names that templates have for them, such as ``bos_token``.
    """

    def __init__(self, inner, *, bos=None, eos=(), chat_template=None, suffix=(), names={}):
        self.inner, self.bos, self.eos, self.chat_template = inner, bos, tuple(eos), chat_template
        self.suffix, self.names = tuple(suffix), dict(names)
        self.templates = Templates()

    @classmethod
    def from_json(cls, text, **kwargs):
        """Build from what a reader of model files found: a JSON object.

        It has ``gguf``, tables as :func:`host.language.gguf_tokenizers.build` takes them, or
        ``huggingface``, a `tokenizer.json`. The rest may be missing: ``suffix`` and ``names`` are
        those of :class:`Tokenizer`; ``add_bos`` and ``add_eos`` say that a text has the tokens of
        these names, where nothing else says which.
        """
        try:
            what = json.loads(text)
            inner = (
                gguf_tokenizers.build(what["gguf"])
                if "gguf" in what
                else tokenizers.Tokenizer.from_str(json.dumps(what["huggingface"]))
            )
            # A file may keep what its training cut or filled texts to; a prompt is taken as it is.
            inner.no_truncation()
            inner.no_padding()
            before, behind = added(inner)
        except (UserError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # the library's: bare Exception, and panics, which are none
            line = " ".join(str(error).split())
            raise UserError(f"tokenizer: the model file's description is damaged: {line}") from None
        tokenizer = cls(inner, names=what.get("names") or {}, **kwargs)
        tokenizer.suffix = tuple(what.get("suffix") or behind)
        if what.get("add_eos") and "eos_token" in tokenizer.names:
            tokenizer.suffix = (tokenizer.named("eos_token"),)
        if tokenizer.bos is None and len(before) == 1:
            tokenizer.bos = before[0]  # newer files say it in the tokenizer alone
        if tokenizer.bos is None and what.get("add_bos") and "bos_token" in tokenizer.names:
            tokenizer.bos = tokenizer.named("bos_token")
        return tokenizer

    def named(self, name):
        """The token that `names` has under a name."""
        token = self.inner.token_to_id(self.names[name])
        if token is None:
            raise UserError(
                f"tokenizer: {name!r} must be one of its tokens, not {self.names[name][:40]!r}"
            )
        return token

    def check(self, vocab):
        """Refuse a tokenizer whose tokens are no rows of an embedding of `vocab` rows.

        Tokens that were added later may be: some files have one for images, which text has not.
        """
        ids = self.inner.get_vocab(with_added_tokens=False).values()
        if ids and max(ids) >= vocab:
            raise UserError(
                f"tokenizer: its tokens must be at most the embedding's {vocab} rows, not "
                f"{max(ids) + 1}; the files are of different models"
            )

    def encode(self, text, end=True):
        """Tokens of a text that begins, in which the names of special tokens stand for these.

        BOS comes first, unless the text begins with it; with `end`, what the model's texts end with
        comes last.
        """
        ids = self.continuation(text)
        before = [] if self.bos is None or ids[:1] == [self.bos] else [self.bos]
        return [*before, *ids, *(self.suffix if end else ())]

    def within(self, ids):
        """Whether a text goes on behind some tokens: at first, and behind a special one, it begins
        anew."""
        return len(ids) > 0 and ids[-1] not in self._added

    def continuation(self, text, after=()):
        """Tokens of a text that goes on where the tokens `after` ended; without, it begins."""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UserError("prompt: must be UTF-8 text, not bytes that are none") from None
        inner = self._continuing if self.within(after) else self.inner
        return inner.encode(text, add_special_tokens=False).ids

    @cached_property
    def _added(self):
        return frozenset(self.inner.get_added_tokens_decoder())

    @cached_property
    def _continuing(self):
        return continuing(self.inner)

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
        names = {k: "" if n is None else self.inner.id_to_token(n) for k, n in name.items()}
        return self.templates.render(
            self.chat_template,
            messages=messages,
            add_generation_prompt=answer,
            tools=None,
            documents=None,
            **{**names, **self.names},
        )
