"""Table of components and their oracles, for `docs/oracles.md`."""

import inspect
from importlib import import_module

from .components import COMPUTES, MOVES, PARTS
from .oracle import Oracle


__all__ = ["find", "markdown"]


def find(name):
    """The oracle of a name: `module.NAME`."""
    module, constant = name.split(".")
    each = getattr(import_module(f"{__package__}.{module}"), constant)
    if not isinstance(each, Oracle) or each.name != name:
        raise ValueError(f"Oracle must have the name {name!r}, not {each!r}")
    return each


def _paragraphs(function):
    """Docstring of a function of this package, as lines without breaks."""
    return [
        " ".join(part.split()).replace("|", r"\|")
        for part in inspect.getdoc(function).split("\n\n")
    ]


def _called(function):
    """What a computation of exact bits is: the function's own name, or what it says it calls."""
    if function.__module__.startswith("sw_ref."):
        return f"`{function.__module__.removeprefix('sw_ref.')}.{function.__name__}`"
    return _paragraphs(function)[0]


def markdown():
    """Yield the lines of the document."""
    yield "# Oracles"
    yield ""
    yield "What the benches of components that compute compare with, to the bit and within a bound:"
    yield ""
    yield "1. `sw_ref`, the definition, in numpy: the same bits."
    yield (
        "2. The same arithmetic in PyTorch, `sw_ref/torch_*.py`, which was written from the "
        "definition and"
    )
    yield "   imports none of it: the same bits."
    yield (
        "3. What a user of PyTorch writes, in float64, for what models call by itself: within a "
        "bound that"
    )
    yield (
        "   follows from the formats' widths. Numbers are limited to +-MAX, and what is below "
        "2^-126 may be"
    )
    yield "   a zero (`docs/rfcs/0005-every-value-finite.md`)."
    yield ""
    yield (
        "An oracle (`sim/oracles/oracle.py`) computes all three for each vector of a bench, and "
        "refuses it"
    )
    yield (
        "when they disagree; the bench compares hardware with the bits. `sim/harness/runner.py` "
        "fails a bench that"
    )
    yield "has not asked the oracles that `sim/oracles/components.py` lists for it;"
    yield "`tests/sim/oracles/test_components.py` fails for a component that is not listed."
    yield ""
    yield "## Components that compute"
    yield ""
    yield "| Component | Bench | Oracles |"
    yield "|--|--|--|"
    for path, (bench, names) in COMPUTES.items():
        yield f"| `{path}` | `{bench}` | {', '.join(f'`{name}`' for name in names)} |"
    yield ""
    yield "## Oracles"
    yield ""
    yield "| Oracle | sw_ref | PyTorch, exact | PyTorch, float64 | Bound |"
    yield "|--|--|--|--|--|"
    for name in dict.fromkeys(name for _, names in COMPUTES.values() for name in names):
        each = find(name)
        plain, bound = ("", "") if each.plain is None else _paragraphs(each.plain)
        exact = _called(each.reference), _called(each.exact)
        yield f"| `{name}` | {' | '.join([*exact, plain, bound])} |"
    yield ""
    yield (
        "Those without a column of float64 are parts that no model calls by itself: "
        "`linear.LINEAR` has"
    )
    yield "`linear.ALIGNMENT` in it, and a program is made of all the others."
    yield ""
    yield "## Parts of others"
    yield ""
    yield "What computes within another component, with whose bench it is compared."
    yield ""
    yield "| Part | Component |"
    yield "|--|--|"
    yield from (f"| `{path}` | `{whole}` |" for path, whole in PARTS.items())
    yield ""
    yield "## Nothing to compute"
    yield ""
    yield "| File | What it does |"
    yield "|--|--|"
    yield from (f"| `{path}` | {reason} |" for path, reason in MOVES.items())
