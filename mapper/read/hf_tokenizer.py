"""A folder's tokenizer: `tokenizer.json` as it is, or SentencePiece's `tokenizer.model`; how
conversations are put; and which tokens templates know."""

import json
from typing import Any

from host.errors import UserError

from . import sentencepiece_model
from .bounds import brief


__all__ = ["chat_template", "first", "tokenizer_json"]


NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token")


def chat_template(folder, about):
    """The text of the chat template, or None. `about` is `tokenizer_config.json`, which may hold
    one or a list of them with names."""
    if (folder.path / "chat_template.jinja").exists():
        return folder.content("chat_template.jinja").decode("utf-8", "replace")
    template = about.get("chat_template")
    if isinstance(template, list) and all(isinstance(entry, dict) for entry in template):
        template = next(
            (entry.get("template") for entry in template if entry.get("name") == "default"), None
        )
    if not isinstance(template, str | None):
        raise UserError(
            f"{folder.path}: 'chat_template' must be text, or a list of objects with "
            f"'name' and 'template', not {brief(template)}"
        )
    return template


def names(folder, about):
    """Special tokens by the names that templates have for them."""
    found = {}
    for name in NAMES:
        token = about.get(name)
        token = token.get("content") if isinstance(token, dict) else token
        if not isinstance(token, str | None):
            raise UserError(f"{folder.path}: {name!r} must be a token's text, not {brief(token)}")
        if token is not None:
            found[name] = token
    return found


def has_sentencepiece_only(folder):
    """Whether a folder has SentencePiece's own file, and no `tokenizer.json`."""
    there = {name: (folder.path / name).exists() for name in ("tokenizer.json", "tokenizer.model")}
    return there["tokenizer.model"] and not there["tokenizer.json"]


def adds_bos(folder, about):
    """Whether a text begins with BOS by `tokenizer_config.json`."""
    # The classes that read `tokenizer.model` add it unless they are told not to.
    silent = about.get("add_bos_token") is None and has_sentencepiece_only(folder)
    return silent or folder.flag(about, "add_bos_token")


def first(folder, about, bos):
    """The token before every text, or None where the tokenizer alone says which; `bos` are the
    configuration's."""
    return bos[0] if bos and adds_bos(folder, about) else None


def tokenizer_json(folder, about, end):
    """What :meth:`host.language.tokenizer.Tokenizer.from_json` needs.

    Parameters
    ----------
    folder : :class:`~.hf_folder.Folder`
    about : :class:`dict`
        `tokenizer_config.json`.
    end : :class:`int` or None
        Token that ends a text, for ``add_eos_token``.
    """
    out: dict[str, Any]
    if has_sentencepiece_only(folder):
        out = sentencepiece_model.read(folder, about)
    else:
        out = {"huggingface": folder.json("tokenizer.json")}
    out |= {"names": names(folder, about), "add_bos": adds_bos(folder, about)}
    if folder.flag(about, "add_eos_token"):
        out |= {"add_eos": True, "suffix": [] if end is None else [end]}
    return json.dumps(out, ensure_ascii=False)
