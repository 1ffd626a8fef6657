"""Atomic file writes: a file is complete, or does not exist."""

import os
import stat
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import UserError, reason


__all__ = ["check_target", "replacing", "writing"]


def refuse_device(path):
    """Refuse a device or a pipe: a file would take its place, for root even that of /dev/null."""
    with suppress(OSError):
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise UserError(f"{path}: must be a file to write, it is a device or a pipe")


def check_target(path):
    """Refuse what :func:`replacing` could not write for certain, before anything takes time."""
    path = Path(path).absolute()
    if path.is_dir():
        raise UserError(f"{path}: must be a file to write, it is a folder")
    refuse_device(path)
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise UserError(f"{path}: cannot be written: {folder} is no folder; choose another place")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(
            f"{path}: cannot be written: nothing may be written to {folder}; choose another place"
        )


@contextmanager
def writing(path, partial=None):
    """Make an :exc:`OSError` a :exc:`~host.errors.UserError` that says what cannot be written.

    That is the file that the error names. It is `path` where it names none, as when a disk is full,
    and where it names `partial`.
    """
    try:
        yield
    except BrokenPipeError:  # stdout's, which is no error of a file
        raise
    except OSError as error:
        named = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else None
        where = path if named is None or named == str(partial) else named
        raise UserError(f"{where}: cannot be written: {reason(error)}") from error


@contextmanager
def replacing(path):
    """Give a path to write a file to, which becomes `path` if nothing goes wrong, and else
    vanishes.

    The folder is made if need be. Raises :exc:`~host.errors.UserError` when it cannot be written.
    """
    path = Path(path)
    refuse_device(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with writing(path, partial):
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.touch()
            mode = partial.stat().st_mode
            yield partial
            partial.chmod(mode)  # some libraries keep what they write from all other users
            os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()
