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
    # Not tempfile's: that would keep the file from all other users, whatever the umask allows.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
