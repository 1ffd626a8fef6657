"""Safetensors files: tensors by name, whatever the model, each header checked against its file."""

import json
import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from host.errors import UserError

from .bounds import brief, check_values


__all__ = ["FLOATS", "Tensor", "parse_json", "tensors"]


FLOATS = {"F32": ("<f4", 4), "F16": ("<f2", 2), "BF16": ("<u2", 2)}
DTYPES = FLOATS | {"I8": ("i1", 1), "U8": ("u1", 1), "I32": ("<i4", 4), "I64": ("<i8", 8)}
HEADER_LIMIT = 100_000_000  # bytes: the format's own, so that damage cannot ask for all memory
RANK_LIMIT = 8  # dimensions


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies in a file that is mapped into memory: `start` and `end` in bytes."""

    name: str
    path: Path
    data: mmap.mmap
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    def check_type(self, dtypes, hint):
        """Refuse a type that is none of these."""
        if self.dtype not in dtypes:
            raise UserError(
                f"{self.path}: tensor {self.name!r} must be {', '.join(dtypes)}, not "
                f"{self.dtype!r}; {hint}"
            )

    def raw(self, dtypes, hint):
        """The values as they are stored, of one of these types."""
        self.check_type(dtypes, hint)
        return self.values()

    def values(self):
        """The values as they are stored. BF16 are the upper halves of float32."""
        values = np.frombuffer(self.data, DTYPES[self.dtype][0], math.prod(self.shape), self.start)
        return values.reshape(self.shape)

    def floats(self, rows=slice(None)):
        """The values, or some rows of them, float32."""
        values = self.raw(FLOATS, "convert the model to one of these")[rows]
        if self.dtype == "BF16":
            values = (values.astype("<u4") << 16).view("<f4")
        values = values.astype(np.float32)
        check_values(self.path, self.name, values, np.arange(self.shape[0])[rows])
        return values

    def same(self, other):
        """Whether another tensor has the same values."""
        if (self.dtype, self.shape) == (other.dtype, other.shape):
            # Slices of the mappings themselves would be copies of the tensors.
            ours, theirs = memoryview(self.data), memoryview(other.data)
            return ours[self.start : self.end] == theirs[other.start : other.end]
        return {self.dtype, other.dtype} <= FLOATS.keys() and np.array_equal(
            self.floats(), other.floats()
        )


def parse_json(text):
    """The value of a JSON text. Raises :exc:`ValueError` for what is none.

    Stricter than Python: NaN, infinities, numbers that overflow to them, and repeated keys are
    errors.
    """

    def number(text):
        value = float(text)
        if not math.isfinite(value):
            raise ValueError(f"the number {brief(text, 20)} is out of range")
        return value

    def entries(pairs):
        value = dict(pairs)
        if len(value) != len(pairs):
            seen = set()
            twice = next(key for key, _ in pairs if key in seen or seen.add(key))
            raise ValueError(f"key {brief(twice)} appears twice")
        return value

    try:
        return json.loads(
            text, parse_float=number, parse_constant=number, object_pairs_hook=entries
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def place(path, data, body, name, about):
    """The :class:`Tensor` of an entry of the header; `body` is where the tensors begin."""
    if not isinstance(about, dict):
        raise ValueError(f"tensor {brief(name)} is {brief(about)}")

    def numbers(key, what):
        value = about.get(key)
        if not isinstance(value, list) or any(type(n) is not int or n < 0 for n in value):
            raise ValueError(f"tensor {brief(name)} has the {what} {brief(value)}")
        return value

    dtype = about.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise UserError(
            f"{path}: tensor {brief(name)} must be {', '.join(DTYPES)}, not "
            f"{brief(dtype)}; convert the model to one of these"
        )
    shape, offsets = numbers("shape", "shape"), numbers("data_offsets", "place")
    if len(shape) > RANK_LIMIT or len(offsets) != 2:
        raise ValueError(f"tensor {brief(name)} has the shape {brief(shape)} at {brief(offsets)}")
    start, end = (body + n for n in offsets)
    if end - start != math.prod(shape) * DTYPES[dtype][1] or end > len(data):
        raise ValueError(
            f"tensor {brief(name)} is {brief(shape)} {dtype} in bytes {brief(start)} "
            f"to {brief(end)} of {len(data)}"
        )
    return Tensor(name, path, data, dtype, tuple(shape), start, end)


def tensors(path, digest):
    """The :class:`Tensor`s of a file. `digest` is told its content."""

    def damaged(what):
        raise UserError(f"{path}: the safetensors file is damaged: {what}; get it again")

    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        damaged("it is empty")
    digest.update(data)
    size = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else 0
    if not 2 <= size <= min(len(data) - 8, HEADER_LIMIT):
        damaged(f"its header needs {size} bytes, there are {len(data)}")
    try:
        header = parse_json(data[8 : 8 + size])
        if not isinstance(header, dict):
            raise ValueError(f"its header is {brief(header)}")
        header.pop("__metadata__", None)
        found = [place(path, data, 8 + size, *entry) for entry in header.items()]
    except ValueError as error:
        damaged(" ".join(str(error).split()))
    found.sort(key=lambda tensor: (tensor.start, tensor.end))
    for a, b in zip(found, found[1:]):
        if b.start < a.end:
            damaged(f"tensors {brief(a.name)} and {brief(b.name)} overlap")
    return found
