"""GGUF files: header, metadata and tensors, whatever the model.

The reader is this project's own because GGUF's reference reader loops over whatever length a
damaged file names; here every length is checked against the file before it is used.
"""

import math
import mmap
import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP

from ..model import RANGES, LazyLinear, Linear
from ..rounding import round_s8
from .bounds import brief, check_values
from .gguf_types import REFUSED, TYPES, BlockType, Codes


__all__ = ["File", "Tensor"]


MAGIC = b"GGUF"
SCALARS = {
    0: "<u1",
    1: "<i1",
    2: "<u2",
    3: "<i2",
    4: "<u4",
    5: "<i4",
    6: "<f4",
    7: "?",
    10: "<u8",
    11: "<i8",
    12: "<f8",
}
STRING, ARRAY = 8, 9
LENGTH = struct.Struct("<Q")  # of a string: there are a hundred thousand of them


@dataclass(frozen=True)
class Tensor:
    """Where a tensor lies: `shape` slowest dimension first, `offset` and `size` in bytes."""

    name: str
    type: BlockType
    shape: tuple[int, ...]
    offset: int
    size: int


class File:
    """A GGUF file, mapped into memory.

    Attributes
    ----------
    metadata : :class:`dict`
        Key to value: int, float, bool, str, or a list of strings, or a numpy array.
    kinds : :class:`dict`
        Key to GGUF's numbers of the value's type and, for lists, of the elements' type or None.
    tensors : :class:`dict`
        Name to :class:`Tensor`.
    """

    def __init__(self, path):
        self.path = Path(path)
        try:
            with open(path, "rb") as file:
                magic = file.read(4)
                if magic != MAGIC:
                    raise UserError(
                        f"{path}: a GGUF file must begin with {MAGIC!r}, not "
                        f"{magic!r}; is this a model file?"
                    )
                self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from None
        self.at, self.formats = 4, {}
        version = self.scalar("<u4")
        if version not in (2, 3):
            raise UserError(f"{path}: the GGUF version must be 2 or 3, not {version}")
        tensors, keys = self.scalar("<u8"), self.scalar("<u8")
        self.metadata, self.kinds = {}, {}
        for _ in range(keys):
            key = self.string("a metadata key")
            if key in self.metadata:
                self.damaged(f"metadata key {brief(key)} appears twice")
            self.metadata[key] = self.value(key, self.scalar("<u4"))
        headers = [self.tensor_header() for _ in range(tensors)]
        alignment = self.integer("general.alignment", 8, 1 << 20, default=32)
        if alignment & alignment - 1:
            self.damaged(f"'general.alignment' must be a power of two, not {alignment}")
        start = -(-self.at // alignment) * alignment
        self.tensors = {}
        for name, *header, offset in headers:
            if name in self.tensors:
                self.damaged(f"tensor {brief(name)} appears twice")
            if offset % alignment:
                self.damaged(
                    f"tensor {brief(name)} must lie at a multiple of {alignment} bytes, "
                    f"not at {offset}"
                )
            self.tensors[name] = self.place(name, start + offset, *header)
        self.check_overlaps()

    def check_overlaps(self):
        """Refuse tensors that share bytes."""
        placed = sorted(self.tensors.values(), key=lambda tensor: tensor.offset)
        for a, b in zip(placed, placed[1:]):
            if b.offset < a.offset + a.size:
                self.damaged(f"tensors {brief(a.name)} and {brief(b.name)} overlap")

    def damaged(self, what):
        """Refuse the file."""
        raise UserError(f"{self.path}: the file is damaged: {what}; get it again")

    def take(self, size):
        """Advance over `size` bytes and return where they were."""
        at, self.at = self.at, self.at + size
        if self.at > len(self.data):
            self.damaged(f"its header needs {self.at} bytes, there are {len(self.data)}")
        return at

    def scalar(self, dtype):
        """Read a number."""
        dtype = np.dtype(dtype)
        return np.frombuffer(self.data, dtype, 1, self.take(dtype.itemsize))[0].item()

    def string(self, what):
        """Read a string."""
        (size,) = LENGTH.unpack_from(self.data, self.take(LENGTH.size))
        at = self.take(size)
        try:
            return self.data[at : at + size].decode()
        except UnicodeDecodeError:
            self.damaged(f"{brief(what)} must be UTF-8, not {self.data[at : at + min(size, 20)]!r}")

    def value(self, key, kind):
        """Read a value of the type numbered `kind`."""
        self.kinds[key] = kind, None
        if kind == STRING:
            return self.string(key)
        if kind in SCALARS:
            return self.scalar(SCALARS[kind])
        if kind != ARRAY:
            self.damaged(f"metadata {brief(key)} must be of a type from 0 to 12, not {kind}")
        kind, count = self.scalar("<u4"), self.scalar("<u8")
        self.kinds[key] = ARRAY, kind
        if kind == STRING:
            return self.strings(key, count)
        if kind not in SCALARS:
            self.damaged(
                f"metadata {brief(key)} must be a list of numbers or strings, not of {kind}"
            )
        dtype = np.dtype(SCALARS[kind])
        return np.frombuffer(self.data, dtype, count, self.take(count * dtype.itemsize))

    def strings(self, key, count):
        """Read `count` strings."""
        if self.at + 8 * count > len(self.data):  # before a loop over any number there may be
            self.damaged(
                f"{brief(key)} has {count} strings, {len(self.data) - self.at} bytes follow"
            )
        return [self.string(key) for _ in range(count)]

    def tensor_header(self):
        """Read a tensor's name, shape, type and offset."""
        name = self.string("a tensor's name")
        rank = self.scalar("<u4")
        if rank not in range(1, 5):
            self.damaged(f"tensor {brief(name)} must have from 1 to 4 dimensions, not {rank}")
        shape = tuple(self.scalar("<u8") for _ in range(rank))[::-1]
        return name, shape, self.scalar("<u4"), self.scalar("<u8")  # type, offset

    def place(self, name, start, shape, kind):
        """The :class:`Tensor` that begins at byte `start`, its header checked against the file."""
        if kind not in TYPES:
            known = ", ".join(its.name for its in TYPES.values())
            raise UserError(
                f"{self.path}: tensor {brief(name)} must be of type {known}, not "
                f"{REFUSED.get(kind, kind)}; convert the model to one of these"
            )
        its = TYPES[kind]
        if 0 in shape:
            self.damaged(f"tensor {brief(name)} has the shape {list(shape)}")
        if shape[-1] % its.elements:
            raise UserError(
                f"{self.path}: the length of tensor {brief(name)} must be a multiple "
                f"of {its.elements} in {its.name}, not {shape[-1]}"
            )
        size = math.prod(shape) // its.elements * its.size
        if start + size > len(self.data):
            self.damaged(
                f"tensor {brief(name)} ends at byte {start + size}, the file at {len(self.data)}"
            )
        return Tensor(name, its, shape, start, size)

    def integer(self, key, low, high, default=None):
        """Metadata that must be an integer from `low` to `high`."""
        value = self.metadata.get(key, default)
        if value is None:
            raise UserError(f"{self.path}: metadata {key!r} is missing")
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UserError(
                f"{self.path}: metadata {key!r} must be from {low} to {high}, not {brief(value)}"
            )
        return value

    def of_type(self, key, kind, default=None):
        """Metadata that must be a `kind`."""
        value = self.metadata.get(key, default)
        if value is None:
            raise UserError(f"{self.path}: metadata {key!r} is missing")
        if not isinstance(value, kind):
            raise UserError(
                f"{self.path}: metadata {key!r} must be a {kind.__name__}, not {brief(value)}"
            )
        return value

    def find(self, name, shape):
        """The tensor of a name, whose shape must be `shape`."""
        if name not in self.tensors:
            raise UserError(f"{self.path}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if tensor.shape != shape:
            raise UserError(
                f"{self.path}: tensor {name!r} must have the shape {list(shape)} by the "
                f"file's own metadata, not {list(tensor.shape)}"
            )
        return tensor

    def blocks(self, tensor, rows):
        """The blocks of a tensor of `rows` rows, uint8 (rows, blocks, bytes)."""
        raw = np.frombuffer(self.data, np.uint8, tensor.size, tensor.offset)
        return raw.reshape(rows, -1, tensor.type.size)

    def floats(self, tensor):
        """The values of an F32, F16 or BF16 tensor as float32."""
        if tensor.type.elements != 1:
            raise UserError(
                f"{self.path}: tensor {tensor.name!r} must be F32, F16 or BF16, not "
                f"{tensor.type.name}"
            )
        values = tensor.type.decode(self.blocks(tensor, 1)).reshape(tensor.shape)
        check_values(self.path, tensor.name, values)
        return values

    def unrounded(self, tensor, rows=slice(None)):
        """What a matrix' type makes of some of its rows, a slice or their numbers, its factor
        multiplied in: codes where the machine has them, else weights."""
        raw, factor = self.blocks(tensor, tensor.shape[0])[rows], self.factor(tensor)
        numbers = np.arange(tensor.shape[0])[rows]
        with np.errstate(all="ignore"):  # infinities and NaN are for the checks to refuse
            found = tensor.type.decode(raw, self.format(tensor))
        if not isinstance(found, Codes):
            found = found if factor is None else found * factor
            check_values(self.path, tensor.name, found, numbers)
            return found.reshape(len(raw), -1)
        if factor is not None:
            m = found.m if found.m is None else found.m * factor
            found = replace(found, d=found.d * factor, m=m)
        low, high = RANGES[found.format]
        with np.errstate(all="ignore"):
            largest = found.d * np.float32(max(-low, high))
            largest = largest if found.m is None else np.abs(largest) + np.abs(found.m)
        check_values(self.path, tensor.name, largest, numbers)
        turned = found.d < 0
        if low == -128 and turned.any():
            groups = found.codes.reshape(*turned.shape, -1)
            if (groups[turned] == -128).any():
                self.damaged(
                    f"tensor {brief(tensor.name)} has -128 times a negative scale, which "
                    "no writer makes"
                )
        return Linear(name=tensor.name, source=tensor.type.name, **vars(found))

    def linear(self, tensor, order=None):
        """A matrix, its rows in `order`, read when they are asked for: codes as they are where the
        machine has them, else weights rounded to S8."""
        rows, depth = tensor.shape
        share = tensor.size
        if order is not None:
            share, rows = tensor.size * len(order) // rows, len(order)
        if depth % GROUP:
            raise UserError(
                f"{self.path}: the columns of tensor {tensor.name!r} must be a "
                f"multiple of {GROUP}, not {depth}"
            )
        kind = tensor.type

        def load(wanted):
            found = self.unrounded(tensor, wanted if order is None else order[wanted])
            if isinstance(found, Linear):
                return found
            found = round_s8(tensor.name, kind.name, found)
            return replace(found, reason=f"the machine has no codes for {kind.name}")

        return LazyLinear(
            name=tensor.name,
            source=kind.name,
            format=self.format(tensor),
            rows=rows,
            depth=depth,
            load=load,
            file_bytes=share,
        )

    def weights(self, tensor):
        """A matrix in float32, as its type has it."""
        found = self.unrounded(tensor)
        return found.float32() if isinstance(found, Linear) else found

    def beside(self, tensor):
        """Names of the numbers that files in NVFP4 have beside a matrix: what it is multiplied
        with; and what activations in 4 bits would be, which this machine does not need."""
        stem = tensor.name.removesuffix("weight")
        return f"{stem}scale", f"{stem}input_scale"

    def factor(self, tensor):
        """What a matrix is multiplied with, or None."""
        name, _ = self.beside(tensor)
        return self.floats(self.find(name, (1,))) if name in self.tensors else None

    def format(self, tensor):
        """The :class:`~rtl.spec.isa.WeightFormat` of :meth:`linear`'s result."""
        if tensor.name not in self.formats:
            with np.errstate(all="ignore"):  # see `unrounded`
                found = tensor.type.format(self.blocks(tensor, tensor.shape[0]))
            self.formats[tensor.name] = found
        return self.formats[tensor.name]
