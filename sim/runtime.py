"""Verilator's own C++, the same for every model: compiled once for each way to compile it.

It is most of the time that a small model takes.
"""

import hashlib
import os
import shutil
from pathlib import Path

from host.errors import UserError
from host.image.digest import sha256


__all__ = ["OBJECTS", "Runtime"]


OBJECTS = (
    "verilated.o",
    "verilated_vpi.o",
    "verilated_threads.o",
    "verilated_fst_c.o",
    "verilated_cov.o",
    "verilated_covergroup.o",
)


class Runtime:
    """Objects that were compiled in one way.

    Parameters
    ----------
    folder : path
        Where they are kept, beside those that were compiled otherwise.
    how : iterable of :class:`str`
        All that they depend on: options, and the version of Verilator.
    """

    def __init__(self, folder, how):
        self.folder = Path(folder) / hashlib.sha256("\n".join(how).encode()).hexdigest()[:12]

    def file(self, name, text):
        """Path of a file of a text, which is kept beside the objects."""
        path = self.folder / name
        if not path.exists() or path.read_text() != text:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f"{name}.{os.getpid()}")
            part.write_text(text)
            part.replace(path)
        return path

    def give(self, target):
        """Copy what there is to the folder of a model. Make takes objects only while they are newer
        than the makefile that Verilator writes there.
        """
        target.mkdir(parents=True, exist_ok=True)
        for name in OBJECTS:
            if self._whole(name):
                _copy(self.folder / name, target / name)

    def keep(self, source):
        """Keep what was compiled in a folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in OBJECTS:
            if (source / name).exists() and not self._whole(name):
                _copy(source / name, self.folder / name)
                self._sum(name).write_text(sha256(source / name))

    def _sum(self, name):
        return self.folder / f"{name}.sha256"

    def _whole(self, name):
        """Whether an object is there as it was kept. A damaged one is compiled and kept again."""
        try:
            return self._sum(name).read_text() == sha256(self.folder / name)
        except (OSError, UserError):
            return False


def _copy(source, target):
    # Another process may be doing the same: what has this name is always whole.
    part = target.with_name(f"{target.name}.{os.getpid()}")
    shutil.copyfile(source, part)
    part.replace(target)
