"""What a layout of matrices is, and the registry of all that there are."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from ...model import ODD, RANGES, LazyLinear, Linear
from ...rounding import round_s8, round_u
from ..bounds import brief, check_values
from ..gguf_types import Codes
from ..safetensors_container import FLOATS, Tensor


__all__ = ["LAYOUTS", "Layout", "Matrix", "register"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Matrix:
    """A matrix in a folder.

    Attributes
    ----------
    name, source : :class:`str`
        As :class:`~mapper.model.Linear` has them.
    shape : tuple of :class:`int`
        (rows, K).
    tensors : list of :class:`~mapper.read.safetensors_container.Tensor`
        All that the folder has of it.
    format : :class:`~rtl.spec.isa.WeightFormat`
        What it becomes, known before it is read.
    decode : function
        Returns :class:`~mapper.read.gguf_types.Codes`, or, where the machine has no such codes, the
        weights in float32, (rows, K). Infinities are let through: :meth:`unrounded` checks.
    bits : :class:`int`
        What weights that are no codes are rounded to.
    """

    name: str
    source: str
    shape: tuple[int, int]
    tensors: list[Tensor]
    format: WeightFormat
    decode: Callable[[], Codes | np.ndarray]
    bits: int = 8

    def unrounded(self):
        """The :class:`~mapper.model.Linear`, or the weights in float32, all of them checked."""
        path = self.tensors[0].path
        with np.errstate(all="ignore"):  # infinities are for the checks to refuse
            found = self.decode()
            if not isinstance(found, Codes):
                check_values(path, self.name, found)
                return found
            largest = np.abs(found.d) * np.float32(max(map(abs, RANGES[found.format])))
            largest = largest if found.m is None else largest + np.abs(found.m)
        check_values(path, self.name, largest)
        return Linear(name=self.name, source=self.source, **vars(found))

    def load(self) -> Linear | LazyLinear:
        """The :class:`~mapper.model.Linear`: codes as they are where the machine has them, else
        rounded weights."""
        found = self.unrounded()
        found = found if isinstance(found, Linear) else self.rounded(found)
        return replace(found, file_bytes=self.file_bytes)

    def transposed(self) -> "Matrix":
        """The matrix whose rows are the columns of this one, which must be floats."""
        raise UserError(
            f"{self.tensors[0].path}: tensor {brief(self.name)} must be of floats, not "
            f"{self.source}; this model cannot be mapped"
        )

    @property
    def file_bytes(self):
        """Bytes of all its tensors."""
        return sum(its.end - its.start for its in self.tensors)

    def rounded(self, weights):
        """Weights in float32 that are rounded."""
        about = self.name, self.source, weights
        found = round_s8(*about) if self.bits == 8 else round_u(*about, self.bits)
        return replace(found, reason=f"the machine has no codes for {self.source}")

    def weights(self):
        """The weights in float32, as the folder has them."""
        found = self.unrounded()
        return found.float32() if isinstance(found, Linear) else found

    def same(self, other):
        """Whether another matrix has the same tensors."""
        return len(self.tensors) == len(other.tensors) and all(
            a.same(b) for a, b in zip(self.tensors, other.tensors)
        )


class Floats(Matrix):
    """A matrix of floats, whose rows are read when they are asked for."""

    def load(self):
        return self.lazy(self.tensors[0].floats)

    def lazy(self, floats):
        """The matrix, of which `floats` has some rows."""
        return LazyLinear(
            name=self.name,
            source=self.source,
            format=self.format,
            rows=self.shape[0],
            depth=self.shape[1],
            load=lambda rows: self.rounded(floats(rows)),
            file_bytes=self.file_bytes,
        )

    def transposed(self):
        return Transposed(
            **vars(self) | {"shape": self.shape[::-1], "decode": lambda: self.tensors[0].floats().T}
        )


class Transposed(Floats):
    """A matrix of floats that the folder has as (K, rows)."""

    def load(self):
        whole = self.weights()
        return self.lazy(lambda rows: np.ascontiguousarray(whole[rows]))


class Layout:
    """How a folder has its matrices. Without a `quantization_config`, as floats.

    A layout is a subclass with a `method` and a :meth:`packed`, registered by :func:`register`. It
    reads `about`, the `quantization_config`, in :meth:`configure`.

    Attributes
    ----------
    method : :class:`str` or None
        What `quant_method` calls it.
    notes : set of :class:`str`
        Keys of `about` that change nothing here, or that the tensors say as well. Keys that are
        neither these nor asked for, by :meth:`choice` and the like, are refused.
    """

    method: ClassVar[str | None] = None
    notes: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, folder):
        self.folder = folder
        self.about: dict[str, Any] = folder.config.get("quantization_config") or {}
        self._asked = {"quant_method"} | self.notes
        self.configure()
        for key in self.about:
            if key not in self._asked:
                self.refuse(
                    f"{brief(key)} of 'quantization_config' is not known, and may change the "
                    "weights"
                )

    def refuse(self, what) -> NoReturn:
        """Refuse the configuration."""
        raise UserError(f"{self.folder.file}: {what}; this model cannot be mapped yet")

    def choice(self, key, allowed, default=None, about=None, of=None) -> Any:
        """The value of a key of `about`, which must be one of `allowed`. One that is missing, or
        null, is `default`."""
        self._asked.add(key)
        value = (self.about if about is None else about).get(key)
        value = default if value is None else value
        if not any(value == one and isinstance(value, type(one)) for one in allowed):
            expected = ", ".join(repr(one) for one in allowed if one is not None)
            self.refuse(f"{key!r}{of or ''} must be one of {expected}, not {brief(value)}")
        return value

    def size(self, key, default=None, about=None, of=None) -> int:
        """The weights of a group, -1 for those of a row; see :meth:`choice`."""
        self._asked.add(key)
        value = (self.about if about is None else about).get(key)
        value = default if value is None else value
        if type(value) is not int or value != -1 and (value < GROUP or value % GROUP):
            self.refuse(
                f"{key!r}{of or ''} must be -1 or a multiple of {GROUP}, not {brief(value)}"
            )
        return value

    def absent(self, key, about=None):
        """Refuse a key that says anything but null, false or nothing."""
        self._asked.add(key)
        value = (self.about if about is None else about).get(key)
        if value not in (None, False, {}, []):
            self.refuse(f"{key!r} must be null, not {brief(value)}")

    def object(self, key) -> dict[str, Any]:
        """The object of a key of `about`; one that is missing, or null, is empty."""
        self._asked.add(key)
        value = self.about.get(key)
        value = {} if value is None else value
        if not isinstance(value, dict):
            self.refuse(f"{key!r} must be an object, not {brief(value)}")
        return value

    def configure(self):
        """Read `about`, and refuse what cannot be read."""

    def find(self, name, shape, dtypes=(*FLOATS,)) -> Tensor:
        """The tensor of a name, shape and one of these types."""
        tensor = self.folder.find(name, shape)
        tensor.check_type(dtypes, f"as {self.method} has it; get the file again")
        return tensor

    def holds(self, module):
        """Whether the matrix of a module is packed, rather than left as floats."""
        plain = self.folder.tensors.get(f"{module}.weight")
        return plain is None or plain.dtype not in FLOATS

    def packed(self, module, shape) -> Matrix:
        """The :class:`Matrix` of a module whose weights are in this layout.

        `shape` is (rows, K) of the matrix. What is missing, or has another shape, is refused by
        :meth:`find`.
        """
        return self.floats(module, shape, 8)

    def floats(self, module, shape, bits) -> Matrix:
        """The matrix of a module whose weights are floats, to be rounded to `bits` bits."""
        tensor = self.folder.find(f"{module}.weight", shape)
        return Floats(
            name=tensor.name,
            source=tensor.dtype,
            shape=shape,
            tensors=[tensor],
            format=WeightFormat.S8 if bits == 8 else ODD[bits],
            decode=tensor.floats,
            bits=bits,
        )

    def matrix(self, module, shape, bits) -> Matrix:
        """The matrix of a module; `bits` is for floats."""
        return (
            self.packed(module, shape) if self.holds(module) else self.floats(module, shape, bits)
        )


LAYOUTS: dict[str | None, type[Layout]] = {None: Layout}  # by `method`


def register(layout):
    """Decorator: make a class the layout of its `method`."""
    if layout.method in LAYOUTS:
        raise ValueError(f"Layouts must differ in `method`, {layout.method!r} is there already")
    LAYOUTS[layout.method] = layout
    return layout
