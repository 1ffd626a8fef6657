"""Program image: all that a device needs to run a model, in one safetensors file."""

import json
from dataclasses import dataclass, field

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rtl.config import UNIT_BYTES

from .errors import UserError
from .files import replacing


__all__ = ["FORMAT_VERSION", "Image"]


FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class Image:
    """Program, weights and tables, as they lie in DRAM from address 0, and what they are.

    Attributes
    ----------
    memory : uint8 array
        Initial DRAM content, a multiple of 64 bytes. May be mapped from the file, read-only.
    memory_units : :class:`int`
        Units of 64 bytes that the device must provide: `memory`, then the KV cache.
    program : :class:`int`
        Unit at which the instructions start.
    length : :class:`int`
        Number of instructions, 32 bytes each.
    digest : :class:`str`
        :attr:`rtl.config.Config.digest` of the configuration compiled for.
    config : :class:`str`
        That configuration's name, for messages.
    formats, patterns : list of :class:`str`
        Weight formats that it has, and patterns of sparse ones: of :class:`rtl.config.Config`'s.
    context : :class:`int`
        Positions that the KV cache has room for.
    vocab : :class:`int`
        Number of token ids.
    weight_bytes : :class:`int`
        Bytes of packed weights that one decode step reads.
    model : :class:`dict`
        Identity: name, sha256, sizes; `eos`: ids that end an answer.
    tokenizer : :class:`dict`
        What :mod:`host.tokenizer` rebuilds the tokenizer from.
    report : :class:`dict`
        What the mapper says of sizes and cycles.
    """
    memory: np.ndarray = field(repr=False)
    memory_units: int
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

    @property
    def instructions(self):
        """Instruction words, as integers."""
        start = self.program * UNIT_BYTES
        raw = bytes(self.memory[start:start + 32 * self.length])
        return [int.from_bytes(raw[n:n + 32], "little") for n in range(0, len(raw), 32)]

    def lacks(self, config):
        """What hardware of a configuration cannot take of the weights, for a message; None if it takes all.

        Configurations of the same digest may differ in this.
        """
        for what, needed, able in (("weights in the format", self.formats, config.formats),
                                   ("sparse weights of the pattern", self.patterns, config.patterns)):
            for name in needed:
                if name not in able:
                    return (f"the image has {what} {name}, but configuration {config.name!r} takes "
                            f"{', '.join(able)}")
        return None

    def dram(self):
        """All of the DRAM as a device first sees it: `memory`, then zeros."""
        dram = np.zeros(self.memory_units * UNIT_BYTES, np.uint8)
        dram[:len(self.memory)] = self.memory
        return dram

    def save(self, path):
        """Write the file. It appears under its name only when it is complete."""
        about = {k: v for k, v in vars(self).items() if k != "memory"}
        with replacing(path) as partial:
            save_file({"memory": np.ascontiguousarray(self.memory)}, partial,
                      {"headrace": json.dumps({"format": FORMAT_VERSION, **about})})

    @classmethod
    def load(cls, path):
        """Read a file that :meth:`save` wrote."""
        try:
            with safe_open(path, "np") as file:
                about = json.loads((file.metadata() or {})["headrace"])
                memory = file.get_tensor("memory")
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path}: expected a program image (safetensors with `headrace` metadata), "
                            f"found something else: {error}. Compile the model again") from error
        version = about.pop("format", None)
        if version != FORMAT_VERSION:
            raise UserError(f"{path}: expected image format {FORMAT_VERSION}, found {version}. "
                            f"Compile the model again")
        try:
            return cls(memory=memory, **about)
        except TypeError as error:
            raise UserError(f"{path}: image metadata is not of format {FORMAT_VERSION}: {error}") from error
