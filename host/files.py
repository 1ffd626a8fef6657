"""Files that are there whole, or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path


__all__ = ["replacing"]


@contextmanager
def replacing(path):
    """Give a path to write a file to, which becomes `path` if nothing goes wrong, and else vanishes.

    The folder is made if need be.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # some libraries keep what they write from all other users
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
