"""Memory capacity and bandwidth that the shipped models need on a board."""

from dataclasses import dataclass
from math import ceil

from rtl.spec.config import UNIT_BYTES


__all__ = ["Model", "MODELS", "fitting"]


@dataclass(frozen=True)
class Model:
    """A model, compiled for boards.

    Written down, since to compile one takes longer than to read a table; a test compares.

    Parameters
    ----------
    name : :class:`str`
        What users call it.
    context : :class:`int`
        Positions that it is compiled for.
    memory_units : :class:`int`
        Units of memory that it needs with the configuration of the boards.
    weight_bytes : :class:`int`
        Bytes of weights that a token reads.
    formats : tuple of :class:`str`
        Formats of its weights.
    """

    name: str
    context: int
    memory_units: int
    weight_bytes: int
    formats: tuple[str, ...]

    def lack(self, board):
        """What keeps it from running on a board, for a message; None if nothing does."""
        for name in self.formats:
            if name not in board.config.formats:
                return f"no {name}"
        beyond = self.memory_units - board.dram.units
        return f"{ceil(beyond * UNIT_BYTES / 2**20)} MiB too large" if beyond > 0 else None

    def tokens_per_second(self, board):
        """Tokens per second that a board's memory allows, if it did nothing but read weights."""
        return board.peak / self.weight_bytes


MODELS = [
    Model("smollm2", 2048, 1_788_895, 89_861_824, ("U4", "S8")),
    Model("tiny", 512, 19_373, 895_744, ("S8", "TERNARY")),
    Model("tiny-mixed", 512, 23_337, 1_149_440, ("S8", "SPARSE4")),
    Model("tiny-sparse", 512, 36_635, 2_000_512, ("S8", "SPARSE8")),
]


def fitting(board):
    """The first of `MODELS` that runs on a board; None if none does."""
    return next((model for model in MODELS if model.lack(board) is None), None)
