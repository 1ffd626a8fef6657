"""Graphs that are not mapped: one line that names the node, and what it must not have."""

from contextlib import contextmanager

from host.errors import UserError


__all__ = ["Unmappable", "refused"]


class Unmappable(ValueError):
    """A graph has something that the mapper has no program for."""


@contextmanager
def refused(model):
    """Report what is :class:`Unmappable` of a model as the user's
    :exc:`~host.errors.UserError`."""
    try:
        yield
    except Unmappable as error:
        raise UserError(f"{model.path}: {error}; this model cannot be mapped yet") from None
