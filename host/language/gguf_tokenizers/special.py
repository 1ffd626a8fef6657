"""Which tokens begin and end texts, where a GGUF file is silent: as llama.cpp's llama-vocab.cpp
(`llama_vocab::impl::load`) has it."""

from dataclasses import dataclass

from .pre_tokenizers import PRE_TOKENIZERS


__all__ = ["Defaults", "defaults", "ends", "hidden", "plain", "shown"]


# Names that end an answer, whatever the file says of them.
ENDS = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",
    "[e~[",
}

# Names of what fills the middle of a text, which end an answer too: padding, repository, file.
FILL_ENDS = (
    ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    ("<|file_sep|>",),
)

# Names of gpt-oss that are always shown.
SHOWN = {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}


def _without_end(ids):
    """Whether ``<|end|>`` ends a message, and not the answer: there are others for that."""
    calls = "<|call|>" in ids or "<|calls|>" in ids
    return "<|end|>" in ids and calls and ("<|return|>" in ids or "<|flush|>" in ids)


def ends(ids):
    """Ids of tokens that end an answer by their names, in ascending order. `ids` has all by
    name."""
    found = {name for name in ENDS if name in ids}
    for same in FILL_ENDS:
        found |= {next((name for name in same if name in ids), "")} - {""}
    if _without_end(ids):
        found.discard("<|end|>")
    found -= plain(ids)
    return sorted(ids[name] for name in found)


def plain(ids):
    """Names that are normal tokens, whatever their types."""
    return {"</s>"} & ids.keys() if "<|tool_response>" in ids else set()


def hidden(ids):
    """Ids of tokens that are control tokens by their names."""
    return set(ends(ids)) - shown(ids)


def shown(ids):
    """Ids of tokens that are shown by their names, whatever their types."""
    always = SHOWN | ({"<|end|>"} if _without_end(ids) else set())
    return {ids[name] for name in always if name in ids}


@dataclass(frozen=True, kw_only=True)
class Defaults:
    """What a file that is silent means.

    Attributes
    ----------
    bos, eos : :class:`int` or None
        Tokens that begin and end texts.
    add_bos, add_eos : :class:`bool`
        Whether these are added to each.
    add_space_prefix : :class:`bool`
        Whether a text that begins, also behind a special token, begins with a space.
    """

    bos: int | None
    eos: int | None
    add_bos: bool = False
    add_eos: bool = False
    add_space_prefix: bool = False


def defaults(model, pre):
    """The :class:`Defaults` of a kind and a pre-tokenizer, by GGUF's names."""
    if model == "llama":
        return Defaults(bos=1, eos=2, add_bos=True, add_space_prefix=True)
    if model == "t5":
        return Defaults(bos=None, eos=1, add_eos=True)
    its = PRE_TOKENIZERS.get(pre)
    return Defaults(bos=11, eos=11, add_bos=its is not None and its.add_bos)
