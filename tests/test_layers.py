"""The import graph between top-level folders only ever points downwards."""

import ast
from itertools import accumulate
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
# Declarations anyone may import.
SPEC = {"rtl.isa", "rtl.csr", "rtl.config", "rtl.dram", "rtl.formats", "rtl.sparse", "rtl.limits", "rtl.rules",
        "rtl.link.protocol"}
MAY_IMPORT = {
    "rtl":    {"rtl"},
    "sw_ref": {"sw_ref"} | SPEC,
    # The image format belongs to its consumer.
    "mapper": {"mapper", "sw_ref", "host.errors", "host.image"} | SPEC,
    "host":   {"host"} | SPEC,
    "sim":    {"sim", "rtl", "sw_ref", "host", "boards"},
    "boards": {"boards", "rtl", "host"},
}
# Tools that take a model all the way from its file to figures.
USES_MAPPER = {"sim/measure.py", "sim/densities.py", "sim/models/shape.py", "sim/models/toy.py"}
# The outermost layer: within functions, so that a command needs only what it uses.
COMMANDS = {"boards", "mapper", "rtl", "sim", "sw_ref"}
# The second implementation of the machine's arithmetic.
TORCH_MODEL = {f"sw_ref/torch_{name}.py" for name in ("ops", "linear", "attention", "machine")}
# The run path does without torch: it belongs to the reference models, and to the training of models.
USES_TORCH = {"sw_ref/llama.py", *TORCH_MODEL}
# Nor does what benches expect.
ORACLES = "sim/oracles/"
# What :mod:`sw_ref` defines in numpy, and its second implementation must have read for itself.
DEFINITIONS = {"sw_ref.numerics", "sw_ref.attention", "sw_ref.linear", "sw_ref.kernels",
               "sw_ref.decoded", "sw_ref.sequences", "sw_ref.best", "sw_ref.machine"}
# A command of its own, with a user's errors, that nothing else imports.
TRAINING = "sw_ref/training/"

FILES = [str(p.relative_to(ROOT)) for d in MAY_IMPORT for p in sorted((ROOT / d).rglob("*.py"))]


def imports(path, text):
    """Yield (dotted name, whether it is imported when the module is) of all imports in a file."""
    package = list(Path(path).parts[:-1])

    def walk(node, eager):
        if isinstance(node, ast.Import):
            yield from ((alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[:len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}".strip("."), eager) for alias in node.names)
        lazy = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager and not lazy)

    yield from walk(ast.parse(text), True)


def misplaced(path, text):
    """Imports of the project's own code that the file must not have."""
    for name, eager in imports(path, text):
        parts = name.split(".")
        allowed = MAY_IMPORT[path.split("/")[0]]
        if path in USES_MAPPER:
            allowed = allowed | {"mapper"}
        if path.startswith("host/commands/") and not eager:
            allowed = allowed | COMMANDS
        if path.startswith(TRAINING):
            allowed = allowed | {"host.errors"}
        elif parts[:2] == ["sw_ref", "training"]:
            yield name
        if parts[0] in MAY_IMPORT and not set(accumulate(parts, "{}.{}".format)) & allowed:
            yield name


@pytest.mark.parametrize("path", FILES)
def test_imports_point_downwards(path):
    assert not list(misplaced(path, (ROOT / path).read_text())), f"{path} must not import these"


@pytest.mark.parametrize("path", FILES)
def test_external_imports(path):
    for name, eager in imports(path, (ROOT / path).read_text()):
        assert not eager or name.split(".")[0] != "torch" or path in USES_TORCH or \
            path.startswith((TRAINING, ORACLES)), \
            f"{path} must not import torch"
        assert name != "amaranth.sim" or path.startswith("tests/"), \
            f"{path} must import names from amaranth.sim, which would shadow the project's sim"


def read_definitions(path, text):
    """Imports by which a file of the second implementation would follow the first one."""
    return [name for name, _ in imports(path, text)
            if set(accumulate(name.split("."), "{}.{}".format)) & DEFINITIONS]


@pytest.mark.parametrize("path", sorted(TORCH_MODEL))
def test_torch_model_is_independent(path):
    assert not read_definitions(path, (ROOT / path).read_text())


@pytest.mark.parametrize("text, found", [
    ("from . import torch_ops",            []),
    ("from . import numerics, torch_ops",  ["sw_ref.numerics"]),
    ("from .attention import EXP2",        ["sw_ref.attention.EXP2"]),
    ("def f():\n import sw_ref.linear",    ["sw_ref.linear"]),
])
def test_dependence_is_found(text, found):
    assert read_definitions("sw_ref/torch_ops.py", text) == found


@pytest.mark.parametrize("path, text, found", [
    ("rtl/vector/unit.py",   "from ..isa import Op",                       []),
    ("rtl/vector/unit.py",   "from ...sw_ref import numerics",             ["sw_ref.numerics"]),
    ("rtl/top.py",           "from .control.fetch import Fetch",           []),
    ("sw_ref/machine.py",    "from rtl import isa, layouts",               ["rtl.layouts"]),
    ("sw_ref/machine.py",    "import rtl.formats, rtl.top",                ["rtl.top"]),
    ("mapper/compile.py",    "def f():\n from host.device import Device",  ["host.device.Device"]),
    ("sw_ref/sparse.py",     "from rtl.sparse import Mode",                []),
    ("host/link/client.py",  "from rtl.link.protocol import Op",           []),
    ("host/link/client.py",  "from rtl.link import protocol, cobs",        ["rtl.link.cobs"]),
    ("host/link/client.py",  "from rtl.link.bridge import Bridge",         ["rtl.link.bridge.Bridge"]),
    ("mapper/prune.py",      "from rtl import sparse, linear",             ["rtl.linear"]),
    ("sw_ref/training/a.py", "from host.errors import UserError",          []),
    ("sw_ref/training/a.py", "from host.image import Image",               ["host.image.Image"]),
    ("sw_ref/linear.py",     "from host.errors import UserError",          ["host.errors.UserError"]),
    ("sw_ref/linear.py",     "from .training import loop",                 ["sw_ref.training.loop"]),
    ("host/commands/run.py", "def f():\n from sw_ref import training",     ["sw_ref.training"]),
    ("mapper/compile.py",    "from host.image import Image",               []),
    ("host/generate.py",     "def f():\n import sw_ref.machine",           ["sw_ref.machine"]),
    ("host/commands/run.py", "import mapper.compile",                      ["mapper.compile"]),
    ("host/commands/run.py", "if x:\n from sim import dram",               ["sim.dram"]),
    ("host/commands/run.py", "def f():\n import mapper.compile",           []),
    ("host/commands/run.py", "from ..errors import UserError",             []),
    ("sim/runner.py",        "from mapper import compile",                 ["mapper.compile"]),
    ("sim/measure.py",       "from mapper import compile",                 []),
    ("sim/runner.py",        "import rtlsdr",                              []),
])
def test_rules(path, text, found):
    assert list(misplaced(path, text)) == found
