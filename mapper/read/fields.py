"""Fields of a model file that say what it computes: GGUF's metadata, or a `config.json`.

Both are read by the same functions, which take the names that a field has in either. What nobody
asked for is refused by :mod:`mapper.variants`, so that nothing is overlooked.
"""

from typing import Any, NoReturn

import numpy as np

from host.errors import UserError

from .bounds import brief


__all__ = ["REQUIRED", "Fields"]


REQUIRED = object()  # as a default: the field must be there
LARGEST = float(np.finfo(np.float32).max)


class Fields:
    """The fields of a file, and which of them were asked for.

    Parameters
    ----------
    path
        For messages.
    values : :class:`dict`
    prefix : :class:`str`
        What GGUF's keys begin with, ``llama.``; empty if it is a `config.json`.
    biased : frozenset of :class:`str`
        Of a GGUF file, the matrices that have a bias there, by their names in the graph.
    """

    def __init__(
        self,
        path,
        values: dict[str, Any],
        prefix: str = "",
        biased: frozenset[str] = frozenset(),
    ):
        self.path, self.values, self.prefix, self.biased = path, values, prefix, biased
        self.asked: set[str] = set()

    @property
    def is_gguf(self):
        """Whether it is GGUF's metadata."""
        return bool(self.prefix)

    def refuse(self, key, expected, value) -> NoReturn:
        """Refuse a field's value."""
        raise UserError(
            f"{self.path}: {self.called(key)!r} must be {expected}, not {brief(value)}; this model "
            "cannot be mapped"
        )

    def called(self, key):
        """The whole name of a key."""
        return self.prefix + key

    def get(self, gguf: str | None, hf: str | tuple[str, ...] | None, default: Any = None):
        """The key of a field and its value; `default` where the file lacks it, or has null.

        `gguf` and `hf` are its names, None where files of that kind have no such field; of several
        the first that the file has counts.
        """
        names = gguf if self.is_gguf else hf
        names = () if names is None else (names,) if isinstance(names, str) else names
        found, named = default, names[0] if names else "?"
        for key in reversed(names):
            self.asked.add(key)
            value = self.values.get(self.called(key))
            if value is not None:
                found, named = value, key
        if found is REQUIRED:
            known = " or ".join(repr(self.called(name)) for name in names)
            raise UserError(f"{self.path}: {known} is missing")
        return named, found

    def integer(self, gguf, hf, low=1, high=(1 << 24) - 1, default: Any = REQUIRED) -> int:
        """An integer from `low` to `high`."""
        key, value = self.get(gguf, hf, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.refuse(key, f"an integer from {low} to {high}", value)
        return value

    def number(self, gguf, hf, low=0.0, high=LARGEST, default: Any = REQUIRED) -> float:
        """A number above `low`, and at most `high`."""
        key, value = self.get(gguf, hf, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(key, "a number", value)
        if not low < value <= high:
            self.refuse(key, f"a number above {low:.8g}, and at most {high:.8g}", value)
        return float(value)

    def flag(self, gguf, hf, default=False) -> bool:
        """True or false."""
        key, value = self.get(gguf, hf, default)
        if not isinstance(value, bool):
            self.refuse(key, "true or false", value)
        return value

    def choice(self, gguf, hf, meanings: dict, default: Any = REQUIRED) -> Any:
        """What the value stands for in `meanings`."""
        key, value = self.get(gguf, hf, default)
        if value is default:
            return value
        if not isinstance(value, (str, int)) or value not in meanings:
            self.refuse(key, " or ".join(map(repr, meanings)), value)
        return meanings[value]

    def items(self, gguf, hf, count, kind, default: Any = REQUIRED) -> Any:
        """A list of `count` values of a type."""
        key, value = self.get(gguf, hf, default)
        if value is default:
            return value
        value = value.tolist() if isinstance(value, np.ndarray) else value
        if (
            not isinstance(value, list)
            or len(value) != count
            or not all(type(one) is kind for one in value)
        ):
            self.refuse(key, f"{count} values of type {kind.__name__}", value)
        return value
