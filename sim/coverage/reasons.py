"""Reasons why some branches and bits are not covered: `reasons.toml`."""

import re
import tomllib
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from host.errors import UserError

from ..tools import ROOT


__all__ = ["Reason", "load", "python"]


FILE = Path(__file__).with_name("reasons.toml")


@cache
def _lines(file):
    return (ROOT / file).read_text().splitlines()


@dataclass
class Reason:
    """Why some points of a component are not reached.

    Attributes
    ----------
    component : :class:`str`
        A file, relative to the checkout; `*` stands for any characters.
    why : :class:`str`
    branch : :class:`str`
        Text of the branch's line in the source, or a part of it.
    kind : :class:`str`
        "taken" or "else", of :class:`~.instrument.Branch`; any if empty.
    signal : :class:`str`
        Name of a signal; `*` stands for any characters.
    bits : :class:`str`
        "high:low" or "bit", and several of them between blanks; all of the signal's bits if empty.
    used : :class:`int`
        How many points it has explained: one that explains none is stale.
    """

    component: str
    why: str
    branch: str = ""
    kind: str = ""
    signal: str = ""
    bits: str = ""
    used: int = field(default=0, compare=False)

    def __post_init__(self):
        if bool(self.branch) == bool(self.signal):
            raise UserError(
                f"{FILE.name}: a reason for {self.component} must have a branch or a signal"
            )
        # Names of signals have brackets.
        self._signal = re.compile(".*".join(map(re.escape, self.signal.split("*"))))
        self._mask = -1 if not self.bits else 0
        for part in self.bits.split():
            high, _, low = part.partition(":")
            self._mask |= (2 << int(high)) - (1 << int(low or high))

    def explains_branch(self, file, line, kind):
        """Whether a branch that is not reached is among these."""
        found = (
            bool(self.branch)
            and fnmatchcase(file, self.component)
            and self.kind in ("", kind)
            and self.branch in _lines(file)[line - 1]
        )
        self.used += found
        return found

    def explains_bits(self, file, name, mask):
        """Which of a signal's bits, a mask, are among these."""
        if (
            not self.signal
            or not fnmatchcase(file, self.component)
            or not self._signal.fullmatch(name)
        ):
            return 0
        self.used += (mask & self._mask).bit_count()
        return mask & self._mask


def load(path=FILE):
    """Reasons for components; an entry with a list of signals is one for each of them.

    Raises :exc:`~host.errors.UserError` for one that cannot be read.
    """
    try:
        return [
            Reason(**{**entry, "signal": signal})
            for entry in tomllib.loads(path.read_text()).get("reason", [])
            for signal in _listed(entry.get("signal", ""))
        ]
    except (TypeError, ValueError) as error:  # a key that there is not, TOML that is none
        raise UserError(f"{path.name}: {error}") from error


def _listed(signal):
    return signal if isinstance(signal, list) else [signal]


def python(path=FILE):
    """Why lines of Python are not reached: a mapping from files."""
    return tomllib.loads(path.read_text()).get("python", {})
