"""Values that come with the project: a folder of TOML files, whose names are the values' names."""

import tomllib
from pathlib import Path
from typing import Any


__all__ = ["read"]


def read(folder: str) -> dict[str, dict[str, Any]]:
    """Tables of a folder beside this file, in the order of their names."""
    return {
        path.stem: tomllib.loads(path.read_text())
        for path in sorted((Path(__file__).parent / folder).glob("*.toml"))
    }
