"""The generic top-level names resolve to this checkout and to nothing else."""

import tomllib
from importlib import import_module
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
NAMES = ["headrace", "rtl", "sim", "host", "mapper", "boards", "sw_ref"]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", NAMES)
def test_name_is_ours(name):
    assert Path(import_module(name).__file__).parent == ROOT / name
    assert set(packages_distributions().get(name, [])) <= {"headrace"}


@pytest.mark.parametrize("name", NAMES)
def test_every_folder_is_a_package(name):
    # A folder without __init__.py works from a checkout, and is missing from the wheel.
    for path in (ROOT / name).rglob("*.py"):
        assert (path.parent / "__init__.py").exists(), f"{path.parent} must have an __init__.py"


def test_packages():
    include = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(include) == sorted(f"{name}*" for name in NAMES)


def test_tests_are_packages():
    # Without tests/__init__.py, tests/rtl/__init__.py would make `rtl` mean the test folder; and
    # without that one, tests of the same name in two folders would be taken for each other.
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert (path.parent / "__init__.py").exists(), f"{path.parent} must have an __init__.py"


def test_command():
    module, _, function = PROJECT["project"]["scripts"]["headrace"].partition(":")
    assert callable(getattr(import_module(module), function))


def test_not_for_upload():
    assert "Private :: Do Not Upload" in PROJECT["project"]["classifiers"]


def test_dependencies_are_pinned():
    extras = PROJECT["project"]["optional-dependencies"].values()
    for dependency in [*PROJECT["project"]["dependencies"], *sum(extras, [])]:
        assert "==" in dependency, f"{dependency} must be pinned"
