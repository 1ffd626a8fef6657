"""Lowering: how the nodes of each type become instructions.

A file for each kind of node. A :class:`Lowering` is registered for its type with :func:`lowers`,
and this folder is searched, so a new node type is a new file. Lowerings know nothing of tokens, of
loops, or of where values lie: :mod:`mapper.sync_tokens`, :mod:`mapper.schedule` and
:mod:`mapper.place` see to those.
"""

from importlib import import_module
from pkgutil import iter_modules

from ..unmappable import Unmappable


__all__ = ["LOWERINGS", "Lowering", "lowering_of", "lowers"]


class Lowering:
    """How nodes of a type become instructions, for one column of the core, or for all of them.

    Attributes
    ----------
    whole : :class:`bool`
        One instruction serves all columns; others are emitted in a loop over the columns.
    hands_over : :class:`bool`
        Another unit waits for it, so that a loop over the columns ends behind it.
    runs_ahead : :class:`bool`
        Another unit makes the value, so that what reads it waits, and a loop over the columns
        begins before the first that does.
    position : :class:`bool`
        It needs the registers of the column's position.
    in_place : :class:`bool`
        The value may take the first input's place, where nothing else reads that.
    early : tuple of :class:`int`
        Inputs that the last instruction, which is the one that writes the value, does not read.
    begins_early : :class:`bool`
        The value is written while inputs are still read.
    """

    whole = hands_over = runs_ahead = position = in_place = begins_early = False
    early: tuple[int, ...] = ()

    def words(self, node, config):
        """Words of the value in a column's vector memory."""
        return node.size

    def temporaries(self, node, config):
        """Words of what is needed while it runs, by name."""
        return {}

    def emit(self, node, to):
        """Emit the instructions, `to` a :class:`~mapper.schedule.Target`."""


LOWERINGS = {}  # by type of node


def lowers(kind):
    """Register a :class:`Lowering` for a type of node."""

    def register(cls):
        LOWERINGS[kind] = cls()
        return cls

    return register


def lowering_of(node):
    """The :class:`Lowering` of a node. Raises :exc:`~mapper.unmappable.Unmappable` for a type
    that has none."""
    try:
        return LOWERINGS[type(node)]
    except KeyError:
        raise Unmappable(
            f"{node.name!r} must be of a type that is lowered, not {type(node).__name__}"
        ) from None


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
