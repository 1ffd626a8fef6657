"""A Hugging Face folder: `config.json` and tensors by name, every number checked."""

import hashlib
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from host.errors import UserError

from . import safetensors_container
from .bounds import brief
from .safetensors_container import parse_json


__all__ = ["Folder"]


INTEGER_LIMIT = (1 << 24) - 1  # of sizes in a configuration


class Folder:
    """A model's folder: `config` and `tensors` by name; `sha256` of all that was read of it."""

    def __init__(self, path):
        self.path, self.file, self.digest = Path(path), Path(path) / "config.json", hashlib.sha256()
        self.config = self.json("config.json")
        files = sorted(self.path.glob("*.safetensors"))
        if not files:
            raise UserError(f"{path}: there must be a .safetensors file, there is none")
        self.check_shards(files)
        self.tensors = {}
        for file in files:
            for tensor in safetensors_container.tensors(file, self.digest):
                other = self.tensors.setdefault(tensor.name, tensor)
                if other is not tensor:
                    raise UserError(
                        f"{file}: tensor {brief(tensor.name)} is in {other.path.name} "
                        "too; take one of the files away"
                    )

    @cached_property
    def modules(self):
        """Names of modules that have tensors: those without what is behind the last dot."""
        return {name.rpartition(".")[0] for name in self.tensors}

    def complete_names(self, root, head):
        """Call tensors as a whole model has them, if the folder holds what lies in its `root`, as
        GPT-2's does: names without that in front, but for the head's."""
        if any(name.startswith(f"{root}.") for name in self.tensors):
            return
        self.tensors = {
            name: replace(tensor, name=name)
            for old, tensor in self.tensors.items()
            for name in [old if old.startswith(f"{head}.") else f"{root}.{old}"]
        }

    @property
    def sha256(self):
        return self.digest.hexdigest()

    def content(self, name):
        """The bytes of a file."""
        try:
            content = (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self.path / name}: cannot be read: {error.strerror}") from None
        self.digest.update(f"{name} {len(content)} ".encode() + content)
        return content

    def json(self, name):
        """The JSON object in a file."""
        try:
            value = parse_json(self.content(name).decode())
        except ValueError as error:
            raise UserError(
                f"{self.path / name}: must be JSON: {error}; get the file again"
            ) from None
        if not isinstance(value, dict):
            raise UserError(f"{self.path / name}: must be a JSON object, not {brief(value)}")
        return value

    def optional(self, name):
        """A JSON file that may be missing."""
        return self.json(name) if (self.path / name).exists() else {}

    def check_shards(self, files):
        """Refuse a folder that lacks a file which its index names."""
        index = "model.safetensors.index.json"
        shards = self.optional(index).get("weight_map", {})
        if not isinstance(shards, dict):
            raise UserError(
                f"{self.path / index}: 'weight_map' must be a JSON object, not {brief(shards)}"
            )
        there = {file.name for file in files}
        for name in shards.values():
            if not isinstance(name, str) or name not in there:
                raise UserError(
                    f"{self.path / index}: it names the file {brief(name)}, which is "
                    "missing; get it too"
                )

    def number(self, key, kind: type = int, default=None):
        """A number of the configuration: above 0, and a float within fp32."""
        value = self.config.get(key)
        value = default if value is None else value
        if value is None:
            raise UserError(f"{self.file}: {key!r} is missing")
        limit = INTEGER_LIMIT if kind is int else float(np.finfo(np.float32).max)
        if isinstance(value, bool) or not isinstance(value, (int, kind)) or not 0 < value <= limit:
            raise UserError(
                f"{self.file}: {key!r} must be a positive {kind.__name__} up to "
                f"{limit:.8g}, not {brief(value)}"
            )
        return kind(value)

    def flag(self, about, key):
        """Whether a field of a JSON object is true; no if it is not there."""
        value = about.get(key)
        if not isinstance(value, bool | None):
            raise UserError(f"{self.path}: {key!r} must be true or false, not {brief(value)}")
        return bool(value)

    def find(self, name, shape):
        """The tensor of a name, whose shape must be `shape`."""
        if name not in self.tensors:
            raise UserError(f"{self.path}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if tensor.shape != shape:
            raise UserError(
                f"{tensor.path}: tensor {name!r} must have the shape {list(shape)} by "
                f"config.json, not {list(tensor.shape)}"
            )
        return tensor

    def special(self, key, vocab, about=None):
        """Token ids under a key of the configuration, or of `about`: none, one or several."""
        value = (self.config if about is None else about).get(key)
        ids = [] if value is None else value if isinstance(value, list) else [value]
        for token in ids:
            if isinstance(token, bool) or not isinstance(token, int) or token not in range(vocab):
                raise UserError(f"{self.path}: {key!r} must be below {vocab}, not {brief(token)}")
        return tuple(ids)
