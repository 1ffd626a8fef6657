"""What is typed becomes typed values, and what argparse found stays in the function that it was
found for.
"""

import ast
from argparse import ArgumentParser
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from headrace.commands import run
from headrace.options import (
    DeviceOptions,
    MachineOptions,
    ModelOptions,
    add_device,
    add_model,
    read,
)
from host.language.sampling import Sampling


ROOT = Path(__file__).parents[2]
FOLDERS = ("boards", "headrace", "host", "mapper", "rtl", "sim", "sw_ref")
# What may see a namespace: what makes values of it at once.
MAY_SEE = {"register", "run", "command", "main"}
PARSING = [
    str(path.relative_to(ROOT))
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "argparse" in path.read_text()
    or path.parent.name == "commands"
    and path.parents[1].name == "headrace"
]


def takes_namespace(text):
    """Names of functions that take what argparse found, other than those that may."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef | ast.Lambda):
            continue
        name = getattr(node, "name", "lambda")
        for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            of = ast.unparse(arg.annotation) if arg.annotation else ""
            if (arg.arg == "args" or of.endswith("Namespace")) and name not in MAY_SEE:
                yield name


def test_commands_are_looked_at():
    assert {"headrace/commands/run.py", "headrace/commands/compare.py", "headrace/cli.py"} < {
        *PARSING
    }


@pytest.mark.parametrize("path", [path for path in PARSING if path != "headrace/options.py"])
def test_no_namespace_is_passed_on(path):
    assert not list(takes_namespace((ROOT / path).read_text())), (
        f"{path}: these must take typed values"
    )


@pytest.mark.parametrize(
    "text, found",
    [
        ("def run(args): pass", []),
        ("def chosen(args, default): pass", ["chosen"]),
        ("def f(*args): pass", []),
        ("def f(*, args): pass", ["f"]),
        ("def f(given: argparse.Namespace): pass", ["f"]),
        ("g = lambda args: 0", ["lambda"]),
        ("class A:\n def of(self, args): pass", ["of"]),
    ],
)
def test_namespaces_are_found(text, found):
    assert list(takes_namespace(text)) == found


def test_read():
    parser = ArgumentParser()
    add_model(parser)
    add_device(parser, "sim")
    given = parser.parse_args(
        ["--model", "tiny", "--set", "lanes=4", "--set", "columns=2", "--context", "64"]
    )
    assert read(ModelOptions, given) == ModelOptions(
        model="tiny",
        bits=8,
        head=None,
        context=64,
        machine=MachineOptions(config=None, set=("lanes=4", "columns=2")),
    )
    device = read(DeviceOptions, given)
    assert device == DeviceOptions(device="sim", timeline=None)
    with pytest.raises(FrozenInstanceError):
        device.device = "model"


def test_sampling_is_checked_when_it_is_read():
    parser = ArgumentParser()
    run.register(parser.add_subparsers())
    options = read(run.Options, parser.parse_args(["run", "--temperature", "0.5", "--top-k", "3"]))
    assert options.sampling == Sampling(temperature=0.5, top_k=3)
    assert options.model.machine.machine().name == "wide" and not options.model.machine.given
