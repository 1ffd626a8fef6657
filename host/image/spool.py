"""Memory of an image while it is made, in a temporary file: a large one has no place elsewhere."""

import mmap
import os
import tempfile

import numpy as np

from ..files import writing


__all__ = ["Spool", "scratch_folder"]


def scratch_folder():
    """Folder for large temporary files: where users want them, else where the system does, which
    may have little room in `/tmp`, or have it in memory."""
    large = "/var/tmp"
    if "TMPDIR" in os.environ or not os.access(large, os.W_OK | os.X_OK):
        return tempfile.gettempdir()
    return large


class Spool:
    """Bytes that are written one after the other, to be an array later, and never lie in memory.

    They are in a temporary file without a name, which goes with the last array, or with the
    process.
    """

    def __init__(self):
        folder = scratch_folder()
        self._where = f"{folder} (temporary files; TMPDIR names another folder)"
        with writing(folder):
            self._file = tempfile.TemporaryFile(dir=folder)

    def seek(self, at):
        """Write on from there."""
        with writing(self._where):  # what is written before may reach the disk now
            self._file.seek(at)

    def write(self, data):
        """Write bytes."""
        with writing(self._where):
            self._file.write(data)

    def array(self, start):
        """The bytes from `start` on, a uint8 array that cannot be written."""
        with writing(self._where):
            self._file.flush()
            data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        return np.frombuffer(data, np.uint8)[start:]
