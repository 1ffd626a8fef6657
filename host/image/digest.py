"""SHA-256 digests of files, computed once per process."""

import hashlib
import os
import stat
from contextlib import contextmanager

from ..errors import UserError, reason


__all__ = ["identity", "opened", "sha256"]


_digests = {}  # by identity


@contextmanager
def opened(path):
    """Open a file to read its bytes, or raise :exc:`UserError`; so does a system's error within.

    A pipe or a device might never end: it is refused too.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UserError(f"{path}: must be a file, not a folder, pipe or device")
        with open(path, "rb") as file:
            yield file
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {reason(error)}") from error


def identity(path, status):
    """What changes when a file does, of its :func:`os.stat`: its content need not be read again."""
    return os.path.realpath(path), status.st_size, status.st_mtime_ns, status.st_ino


def sha256(path):
    """SHA-256 of a file, in hexadecimal. It is read once per process, unless it changes."""
    with open(path, "rb") as file:
        about = identity(path, os.fstat(file.fileno()))
        if about not in _digests:
            _digests[about] = hashlib.file_digest(file, "sha256").hexdigest()
        return _digests[about]
