"""The import graph between top-level folders only ever points downwards."""

import ast
from itertools import accumulate
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
# From the bottom up: a folder may import those before it.
ORDER = ["rtl", "sw_ref", "host", "mapper", "sim", "boards", "headrace"]
# Declarations, which all may import, and which import no other code.
SPEC = "rtl.spec"
TOKENIZERS = {"host.language.tokenizer", "host.language.gguf_tokenizers"}
MAY_IMPORT = {folder: set(ORDER[: n + 1]) for n, folder in enumerate(ORDER)} | {
    "sw_ref": {"sw_ref", SPEC},
    "host": {"host", "sw_ref", SPEC},
    # The image format belongs to its consumer; so do tokenizers, which are tried when a model is
    # read.
    "mapper": {"mapper", "sw_ref", "host.errors", "host.image", *TOKENIZERS, SPEC},
}
# The second implementation of the machine's arithmetic.
TORCH_MODEL = {
    f"sw_ref/pytorch/{name}.py" for name in ("gates", "ops", "linear", "attention", "machine")
}
# The run path does without torch: it belongs to the reference models, and to the training of
# models.
USES_TORCH = {
    "sw_ref/pytorch/interpreter.py",
    "headrace/train.py",
    "sim/models/hf.py",  # models of `transformers`, for tests and studies
    *TORCH_MODEL,
}
# Nor does what benches expect.
ORACLES = "sim/oracles/"
# What :mod:`sw_ref` defines in numpy, and its second implementation must have read for itself.
DEFINITIONS = {
    "sw_ref.numerics",
    "sw_ref.attention",
    "sw_ref.linear",
    "sw_ref.kernels",
    "sw_ref.decoded",
    "sw_ref.sequences",
    "sw_ref.best",
    "sw_ref.machine",
}
# A command of its own, with a user's errors, that nothing else imports.
TRAINING = "sw_ref/training/"
# The roof imports these within functions: `import headrace` and each command start with what they
# use.
SLOW = {"boards", "mapper", "sim", "sw_ref"}
# But for programs of their own.
STUDIES = ("headrace/studies/", "headrace/docs/", "headrace/train.py")

PACKAGES = pytest.mark.parametrize("package", MAY_IMPORT)


def imports(path, text):
    """Yield (dotted name, whether it is imported when the module is) of all imports in a file."""
    package = list(Path(path).parts[:-1])

    def walk(node, eager):
        if isinstance(node, ast.Import):
            yield from ((alias.name, eager) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *filter(None, [node.module])])
            yield from ((f"{base}.{alias.name}".strip("."), eager) for alias in node.names)
        lazy = (
            isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            or isinstance(node, ast.If)
            and ast.unparse(node.test) == "TYPE_CHECKING"
        )
        for child in ast.iter_child_nodes(node):
            yield from walk(child, eager and not lazy)

    yield from walk(ast.parse(text), True)


# The estimate of cycles asks the components for their latencies.
ASKS_COMPONENTS = "mapper/estimate/hardware.py"


def misplaced(path, text):
    """Imports of the project's own code that the file must not have."""
    for name, eager in imports(path, text):
        parts = name.split(".")
        allowed = {SPEC} if path.startswith("rtl/spec/") else MAY_IMPORT[path.split("/")[0]]
        if parts[:2] == ["sw_ref", "training"] and not path.startswith(
            (TRAINING, "headrace/train.py")
        ):
            yield name
        if (
            path.startswith("headrace/")
            and not path.startswith(STUDIES)
            and eager
            and parts[0] in SLOW
        ):
            yield name
        if path == ASKS_COMPONENTS:
            allowed = allowed | {"rtl"}
        if parts[0] in MAY_IMPORT and not set(accumulate(parts, "{}.{}".format)) & allowed:
            yield name


def files(package):
    """Yield (path, text) of a package's files."""
    for path in sorted((ROOT / package).rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text()


@PACKAGES
def test_imports_point_downwards(package):
    for path, text in files(package):
        assert not list(misplaced(path, text)), f"{path} must not import these"


@PACKAGES
def test_external_imports(package):
    for path, text in files(package):
        for name, eager in imports(path, text):
            assert (
                not eager
                or name.split(".")[0] != "torch"
                or path in USES_TORCH
                or path.startswith((TRAINING, ORACLES))
            ), f"{path} must not import torch"
            assert name != "amaranth.sim" or path.startswith("tests/"), (
                f"{path} must import names from amaranth.sim, which would shadow the project's sim"
            )


def read_definitions(path, text):
    """Imports by which a file of the second implementation would follow the first one."""
    return [
        name
        for name, _ in imports(path, text)
        if set(accumulate(name.split("."), "{}.{}".format)) & DEFINITIONS
    ]


@pytest.mark.parametrize("path", sorted(TORCH_MODEL))
def test_torch_model_is_independent(path):
    assert not read_definitions(path, (ROOT / path).read_text())


@pytest.mark.parametrize(
    "text, found",
    [
        ("from . import ops", []),
        ("from .. import numerics, sparse", ["sw_ref.numerics"]),
        ("from ..attention import EXP2", ["sw_ref.attention.EXP2"]),
        ("def f():\n import sw_ref.linear", ["sw_ref.linear"]),
    ],
)
def test_dependence_is_found(text, found):
    assert read_definitions("sw_ref/pytorch/ops.py", text) == found


# fmt: off
RULES = [
    ("rtl/vector/unit.py",       "from ..spec.isa import Op",                  []),
    ("rtl/vector/unit.py",       "from ...sw_ref import numerics",             ["sw_ref.numerics"]),
    ("rtl/top.py",               "from .control.fetch import Fetch",           []),
    ("rtl/spec/csr.py",          "from .config import GROUP",                  []),
    ("rtl/spec/csr.py",          "from ..linear.unit import LinearUnit",       ["rtl.linear.unit.LinearUnit"]),
    ("rtl/spec/csr.py",          "from host.errors import UserError",          ["host.errors.UserError"]),
    ("sw_ref/machine.py",        "from rtl.spec import isa, layouts",          []),
    ("sw_ref/machine.py",        "import rtl.spec.formats, rtl.top",           ["rtl.top"]),
    ("sw_ref/linear.py",         "from host.errors import UserError",          ["host.errors.UserError"]),
    ("sw_ref/linear.py",         "from .training import loop",                 ["sw_ref.training.loop"]),
    ("sw_ref/training/a.py",     "from host.errors import UserError",          ["host.errors.UserError"]),
    ("sw_ref/training/a.py",     "from .loop import Budget",                   []),
    ("host/link/client.py",      "from rtl.spec.protocol import Op",           []),
    ("host/link/client.py",      "from rtl.link import cobs",                  ["rtl.link.cobs"]),
    ("host/link/client.py",      "from rtl.link.bridge import Bridge",         ["rtl.link.bridge.Bridge"]),
    ("host/device.py",           "def f():\n import sw_ref.machine",           []),
    ("host/device.py",           "def f():\n import mapper.compile",           ["mapper.compile"]),
    ("mapper/compile.py",        "from host.image.image import Image",         []),
    ("mapper/compile.py",        "def f():\n from host.device import Device",  ["host.device.Device"]),
    ("mapper/read/find.py",      "from host.language.tokenizer import Tokenizer", []),
    ("mapper/read/find.py",      "from host.language.generate import Session", ["host.language.generate.Session"]),
    ("mapper/prune.py",          "from rtl.spec import sparse_modes",                []),
    ("mapper/prune.py",          "from rtl import linear",                     ["rtl.linear"]),
    ("sim/measure.py",           "from mapper import compile",                 []),
    ("sim/measure.py",           "from boards import board",                   ["boards.board"]),
    ("sim/measure.py",           "import rtlsdr",                              []),
    ("boards/flow.py",           "from sim.tools import execute",              []),
    ("boards/flow.py",           "import headrace.cli",                        ["headrace.cli"]),
    ("headrace/commands/run.py", "def f():\n from sw_ref import training",     ["sw_ref.training"]),
    ("headrace/commands/run.py", "import mapper.compile",                      ["mapper.compile"]),
    ("headrace/commands/run.py", "if x:\n from sim import board",              ["sim.board"]),
    ("headrace/commands/run.py", "def f():\n import mapper.compile",           []),
    ("headrace/options.py",      "from mapper import compile",                 ["mapper.compile"]),
    ("headrace/options.py",      "if TYPE_CHECKING:\n from mapper import a",    []),
    ("headrace/studies/cores.py", "from boards import synthesis",               []),
    ("headrace/commands/run.py", "from host.errors import UserError",          []),
]
# fmt: on


@pytest.mark.parametrize("path, text, found", RULES)
def test_rules(path, text, found):
    assert list(misplaced(path, text)) == found
