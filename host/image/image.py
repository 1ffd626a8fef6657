"""Program image: all that a device needs to run a model, in one safetensors file."""

import json
from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np
from safetensors import SafetensorError, safe_open

from rtl.spec.config import UNIT_BYTES

from ..errors import UserError
from ..files import replacing
from . import schema
from .digest import opened
from .seal import BLANK, KEY, seal, verify


__all__ = ["FORMAT_VERSION", "Image", "whole_dram"]


FORMAT_VERSION = schema.FORMAT_VERSION
PART = 1 << 24  # bytes that are written at a time


def whole_dram(memory, units):
    """DRAM of so many units that begins with the bytes of `memory`; the rest is zero."""
    try:
        dram = np.zeros(units * UNIT_BYTES, np.uint8)
    except MemoryError:
        size = units * UNIT_BYTES / 2**30
        raise UserError(
            f"the image needs {size:.1f} GiB of DRAM, this computer has less memory. "
            "Compile the model with a smaller --context"
        ) from None
    dram[: len(memory)] = memory
    return dram


def _content(memory, metadata):
    """Yield a safetensors file, part by part: its library would copy the memory first."""
    about = {"dtype": "U8", "shape": [len(memory)], "data_offsets": [0, len(memory)]}
    header = {"__metadata__": metadata, "memory": about}
    header = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    header += b" " * (-len(header) % 8)
    yield len(header).to_bytes(8, "little") + header
    for at in range(0, len(memory), PART):
        yield memory[at : at + PART].tobytes()


@dataclass(frozen=True, kw_only=True)
class Image:
    """Program, weights and tables, as they lie in DRAM from address 0, and what they are.

    :mod:`host.image.schema` has types and ranges of all but `memory`. They hold in every file; an
    image that was made in memory, by a test for example, may break them.

    Attributes
    ----------
    memory : uint8 array
        Initial DRAM content, a multiple of 64 bytes. Read-only when it comes from a file.
    memory_units : :class:`int`
        Units of 64 bytes that the device must provide: `memory`, then the KV cache.
    writable : pair of :class:`int`
        First and end unit of what the program may write: the KV cache.
    program : :class:`int`
        Unit at which the instructions start.
    length : :class:`int`
        Number of instructions, 32 bytes each.
    digest : :class:`str`
        :attr:`rtl.spec.config.Config.digest` of the configuration compiled for.
    config : :class:`str`
        That configuration's name, for messages.
    accelerator : :class:`dict`
        All its values: of :class:`rtl.spec.config.Config`'s fields. Empty in images made in memory.
    formats, patterns : list of :class:`str`
        Weight formats that it has, and patterns of sparse ones: of
        :class:`rtl.spec.config.Config`'s.
    context : :class:`int`
        Positions that the KV cache has room for.
    vocab : :class:`int`
        Number of token ids.
    weight_bytes : :class:`int`
        Bytes of packed weights that one decode step reads.
    model : :class:`dict`
        Identity: name, sha256, sizes; `eos`: ids that end an answer; `bos`: what begins a prompt.
    tokenizer : :class:`dict`
        What :mod:`host.language.tokenizer` rebuilds the tokenizer from.
    report : :class:`dict`
        What the mapper says of sizes and cycles.
    nodes : list of (:class:`str`, :class:`int`)
        What the instructions are for: a node of the model's graph (``layer / ffn / down``), and the
        end of its range of instructions, which begins where the one before ends. Empty where
        unknown.
    verified : :class:`bool`
        Whether it is, bit by bit, what :meth:`save` wrote, which :meth:`load` checks. False for
        images made in memory, and for changed copies.
    """

    memory: np.ndarray = field(repr=False)
    memory_units: int
    writable: tuple
    program: int
    length: int
    digest: str
    config: str
    formats: list
    patterns: list
    context: int
    vocab: int
    weight_bytes: int
    model: dict
    tokenizer: dict = field(repr=False)
    report: dict = field(repr=False)
    accelerator: dict = field(default_factory=dict, repr=False)
    nodes: list = field(default_factory=list, repr=False)
    verified: bool = field(default=False, init=False, compare=False)

    @property
    def instructions(self):
        """Instruction words, as integers."""
        start = self.program * UNIT_BYTES
        raw = bytes(self.memory[start : start + 32 * self.length])
        return [int.from_bytes(raw[n : n + 32], "little") for n in range(0, len(raw), 32)]

    def node(self, pc):
        """Name of the node that an instruction is for; None where that is unknown."""
        at = bisect_right([end for _, end in self.nodes], pc)
        return self.nodes[at][0] if at < len(self.nodes) else None

    def lacks(self, config):
        """What hardware of a configuration cannot take of the weights, for a message; None if it
        takes all.

        Configurations of the same digest may differ in this.
        """
        for what, needed, able in (
            ("weights in the format", self.formats, config.formats),
            ("sparse weights of the pattern", self.patterns, config.patterns),
        ):
            for name in needed:
                if name not in able:
                    return (
                        f"the image has {what} {name}, but configuration {config.name!r} takes "
                        f"{', '.join(able)}"
                    )
        return None

    def trust(self):
        """Say that the program is known to be legal: :attr:`verified` becomes true."""
        object.__setattr__(self, "verified", True)

    def dram(self):
        """All of the DRAM as a device first sees it: `memory`, then zeros."""
        return whole_dram(self.memory, self.memory_units)

    def save(self, path):
        """Write the file, sealed. It appears under its name only when it is complete."""
        about = {k: v for k, v in vars(self).items() if k not in ("memory", "verified")}
        try:
            text = schema.encode(about, len(self.memory))
        except schema.SchemaError as error:
            raise UserError(f"{path}: {error}") from None
        with replacing(path) as partial:
            with open(partial, "wb") as file:
                for part in _content(self.memory, {"headrace": text, KEY: BLANK}):
                    file.write(part)
            seal(partial)

    @classmethod
    def load(cls, path):
        """Read a file that :meth:`save` wrote. One that differs in a single bit is refused."""
        with opened(path):
            try:
                with safe_open(path, "np") as file:
                    text = (file.metadata() or {})["headrace"]
                    schema.check_version(text)  # older formats had no seal
                    verify(path)
                    tensor = file.get_slice("memory")
                    size, dtype = tensor.get_shape(), tensor.get_dtype()
                    if len(size) != 1 or dtype != "U8" or file.keys() != ["memory"]:
                        raise schema.SchemaError(
                            "the only tensor must be `memory`, of bytes. Compile the model again"
                        )
                    about = schema.decode(text, *size)
                    memory = file.get_tensor("memory")
            except schema.SchemaError as error:
                raise UserError(f"{path}: {error}") from None
            except (SafetensorError, KeyError, ValueError) as error:
                raise UserError(
                    f"{path}: expected a program image (safetensors with `headrace` "
                    f"metadata), found something else: {schema.line(error)}. "
                    "Compile the model again"
                ) from error
        memory.flags.writeable = False
        image = cls(memory=memory, **about)
        image.trust()
        return image
