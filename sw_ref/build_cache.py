"""Where things are kept that take long to make: machine code, images, simulators, syntheses."""

import os
from pathlib import Path


__all__ = ["ROOT", "folder"]


ROOT = Path(__file__).resolve().parents[1]


def folder(name: str, root: Path = ROOT) -> Path:
    """Folder of one kind: in `build/` of a checkout, in the user's cache for an installed
    package.
    """
    if (root / "pyproject.toml").exists():
        return root / "build" / name
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "headrace" / name
