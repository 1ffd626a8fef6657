"""The version of Headrace."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


__all__ = ["VERSION"]


def _version() -> str:
    try:
        return version("headrace")
    except PackageNotFoundError:  # run from a checkout that is not installed
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text()
        return tomllib.loads(text)["project"]["version"]


VERSION = _version()
