"""What a sequence of vector operations is, and how its formula is traced."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

from rtl.spec.isa import Func


__all__ = [
    "SEQUENCES",
    "Sequence",
    "sequence",
    "inputs",
    "clamp",
    "scaled_down",
    "one_and_scaled_down",
    "integer",
    "recip_seed",
    "rsqrt_seed",
]


SEQUENCES = {}  # name: Sequence

# Results are Any: what is assigned to a word is a step, but what is read from it is the word.


@dataclass(frozen=True)
class Step:
    """What an assignment writes: a function of the vector unit, and its operands a, b, c."""

    func: Func
    operands: tuple


@dataclass(frozen=True)
class Product:
    """a * b, which a sum or an assignment makes a step of."""

    a: object
    b: object

    def __add__(self, other) -> Any:
        return Step(Func.MADD, (self.a, self.b, name(other)))

    __radd__ = __add__

    def __rsub__(self, other) -> Any:
        return Step(Func.NMADD, (self.a, self.b, name(other)))


@dataclass(frozen=True)
class Word:
    """The value that a name holds."""

    name: str

    def __mul__(self, other) -> Any:
        return Product(self.name, name(other))

    def __add__(self, other) -> Any:
        return NotImplemented if isinstance(other, Product) else Product(self.name, 1.0) + other

    def __sub__(self, other) -> Any:
        if isinstance(other, Product):
            return NotImplemented
        if isinstance(other, Word):
            return Step(Func.NMADD, (other.name, 1.0, self.name))
        return Product(self.name, 1.0) + -other

    def __rsub__(self, other) -> Any:
        return other - Product(self.name, 1.0)


def name(operand):
    """A word's name; a number as it is."""
    if isinstance(operand, Word):
        return operand.name
    if isinstance(operand, (int, float)):
        return float(operand)
    raise TypeError(f"Operand must be a word or a number, not {operand!r}")


@dataclass(frozen=True)
class Integer:
    """The integer n that a word - MAGIC stands for, which a * b is taken from."""

    name: str

    def __sub__(self, other) -> Any:
        return Step(Func.REST, (other.a, other.b, self.name))


def integer(exponent) -> Any:
    """The integer n that `exponent` - MAGIC stands for."""
    return Integer(exponent.name)


def one_and_scaled_down(value, exponent) -> Any:
    """1 + `value` * 2**-n, n the integer that `exponent` - MAGIC stands for."""
    return Step(Func.NSCALE1, (value.name, None, name(exponent)))


def clamp(value, limit) -> Any:
    """`value`, limited to -`limit` to `limit`."""
    return Step(Func.CLAMP, (value.name, name(limit), None))


def scaled_down(value, exponent) -> Any:
    """`value` * 2**-n, n the integer that `exponent` - MAGIC stands for."""
    return Step(Func.NSCALE, (value.name, None, name(exponent)))


def recip_seed(value) -> Any:
    """First guess at 1 / `value`."""
    return Step(Func.RECIP, (value.name, None, None))


def rsqrt_seed(value) -> Any:
    """First guess at 1 / sqrt(`value`)."""
    return Step(Func.RSQRT, (value.name, None, None))


class Words:
    """Named words: reading one gives its :class:`Word`, assigning to it writes a step.

    A step is one of :class:`~rtl.spec.isa.Func`: a * b + c and c - a * b, with missing parts 1 or
    0, and the functions of this module. What needs two steps is an error.
    """

    def __init__(self, names=None):
        object.__setattr__(self, "_steps", [])
        object.__setattr__(self, "_names", names or {})

    _steps: list
    _names: dict

    def __getattr__(self, word) -> Any:
        return Word(self._names.get(word, word))

    def __setattr__(self, word, value):
        if isinstance(value, Product):
            value = value + 0.0
        if not isinstance(value, Step):
            raise TypeError(f"{word} must be one vector operation, not {value!r}")
        self._steps.append((value.func, self._names.get(word, word), *value.operands))

    def add(self, steps, **names):
        """Add the steps of a sequence; `names` are those that differ here."""
        self._steps.extend((func, *(names.get(n, n) for n in rest)) for func, *rest in steps)


@dataclass(frozen=True, eq=False)
class Sequence:
    """A sequence of vector operations: traced from its formula when it is called.

    Calling it, with the formula's parameters, gives steps (function, result, a, b, c) over named
    words; numbers are constants, and None is an operand that the function has not.

    Attributes
    ----------
    name : :class:`str`
    formula : function of (:class:`Words`, ...)
        Writes the steps. Assigning to a name again takes its words again: what is written where a
        name stands last is its lifetime.
    """

    name: str
    formula: Callable[..., None]

    @property
    def doc(self):
        """What it computes."""
        return getdoc(self.formula)

    def __call__(self, *parameters):
        words = Words()
        self.formula(words, *parameters)
        return words._steps


def sequence(formula) -> Any:
    """Decorator: register a formula under its name."""
    if formula.__name__ in SEQUENCES:
        raise TypeError(f"Sequence {formula.__name__} must be registered once")
    SEQUENCES[formula.__name__] = Sequence(formula.__name__, formula)
    return SEQUENCES[formula.__name__]


def inputs(steps):
    """Names that `steps` read before they write them: what the caller gives, in order."""
    found, written = {}, set()
    for _, result, *operands in steps:
        found |= {o: None for o in operands if isinstance(o, str) and o not in written}
        written.add(result)
    return list(found)
