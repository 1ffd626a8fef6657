"""Round a model to a type of GGUF, and write it as a GGUF file."""

import base64
from dataclasses import dataclass
from pathlib import Path

from host.errors import UserError
from host.files import check_target, replacing
from host.language.gguf_tables import tables
from host.language.gguf_tokenizers.vocabulary import Type
from host.language.tokenizer import Tokenizer
from host.progress import progress


__all__ = ["Quantized", "quantize"]


# GGUF's numbers of types of metadata.
UINT8, UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 0, 4, 5, 6, 7, 8, 9


@dataclass(frozen=True, kw_only=True)
class Quantized:
    """What was written.

    Attributes
    ----------
    name : :class:`str`
        Of the model.
    types : :class:`dict` of :class:`str` to :class:`str`
        Type of each matrix, by name.
    instead : :class:`dict` of :class:`str` to :class:`str`
        Matrices whose rows are no multiple of their type's block, and the types that they have
        instead.
    """

    name: str
    types: dict[str, str]
    instead: dict[str, str]


def tokenizer_metadata(path, model):
    """GGUF's metadata of a folder's tokenizer, and of how conversations are put."""
    from mapper.read.gguf_tokenizer import ENDS
    from mapper.read.hf_folder import Folder

    tokenizer = Tokenizer.from_json(model.tokenizer, bos=model.bos)
    found, key = tables(tokenizer.inner, model.vocab), "tokenizer.ggml."
    about = {
        f"{key}model": (found["model"], STRING, None),
        f"{key}pre": (found.get("pre", "default"), STRING, None),
        f"{key}tokens": (found["tokens"], ARRAY, STRING),
        f"{key}token_type": (found["types"], ARRAY, INT32),
        f"{key}add_bos_token": (tokenizer.bos is not None, BOOL, None),
        f"{key}add_eos_token": (bool(tokenizer.suffix), BOOL, None),
    }
    for name, kind in ("merges", STRING), ("scores", FLOAT32):
        if name in found:
            about[key + name] = found[name], ARRAY, kind
    for name in "add_space_prefix", "remove_extra_whitespaces":
        if name in found:
            about[key + name] = found[name], BOOL, None
    if Type.UNKNOWN in found["types"]:
        about[f"{key}unknown_token_id"] = found["types"].index(Type.UNKNOWN), UINT32, None
    if found.get("charsmap"):
        charsmap = list(base64.b64decode(found["charsmap"]))
        about[f"{key}precompiled_charsmap"] = charsmap, ARRAY, UINT8
    bos = Folder(path).special("bos_token_id", model.vocab)
    first = tokenizer.bos if tokenizer.bos is not None else bos[0] if bos else None
    if first is not None:
        about[f"{key}bos_token_id"] = first, UINT32, None
    if len(model.eos) > len(ENDS):
        raise UserError(
            f"{path}: at most {len(ENDS)} tokens must end an answer, for which GGUF has keys, not "
            f"{len(model.eos)}"
        )
    # Of two, the second ends a turn: so it is in models that came before messages to tools.
    keys = (ENDS[0], ENDS[-1]) if len(model.eos) == 2 else ENDS
    for end, token in zip(keys, model.eos):
        about[f"{key}{end}"] = token, UINT32, None
    if model.chat_template:
        about["tokenizer.chat_template"] = model.chat_template, STRING, None
    return about


def quantize(
    name: str | Path, output: str | Path, kind: str, *, head: str | None = None
) -> Quantized:
    """Round a model's matrices to a type of GGUF, and write a new GGUF file.

    Matrices that have the type already stay as they are. Gains of norms are F32. Rows that are no
    multiple of the type's block get another type, as llama-quantize has it: Q5_0 for Q4_K, Q5_1
    for Q5_K, Q8_0 for Q6_K, Q4_0 for Q2_K and Q3_K, IQ4_NL for IQ4_XS. Otherwise they get Q8_0, or
    F16 where that does not fit either.

    Parameters
    ----------
    name : :class:`str` or :class:`~pathlib.Path`
        A model that ``headrace.load`` takes. Metadata of a GGUF file is copied. The tokenizer of a
        folder must be one that GGUF describes: byte-level BPE, SentencePiece BPE or unigram.
    kind, head : :class:`str`
        Types, such as ``"Q4_0"``: of the layers' matrices, or ``"mixed"``, llama-quantize's Q4_K_M;
        and of the embedding and the head, by default `kind` if that is F32, F16 or BF16, Q8_0 if it
        is Q8_0 or MXFP4, otherwise Q6_K.
    """
    from mapper.read.find import find, load
    from mapper.write import content, gguf

    types = gguf.chosen(kind, head)
    if Path(output).exists():
        raise UserError(f"{output}: exists already; give a new file")
    check_target(output)
    path, model = find(name), load(name)
    if path.is_dir():
        what = content.of_folder(path, model)
        what.metadata.update(tokenizer_metadata(path, model))
    else:
        what = content.of_file(path, model)
    with replacing(output) as partial, progress("quantizing") as report:
        written = gguf.write(partial, what, *types, report)
    return Quantized(
        name=what.name,
        types=written.types,
        instead=written.instead,
    )
