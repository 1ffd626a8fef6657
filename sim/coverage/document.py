"""docs/coverage.md, from what was recorded and the reasons."""

from collections import defaultdict
from itertools import groupby

from . import python, reasons, record


__all__ = ["markdown"]


WORST = 20  # files of Python that are listed


def _percent(part, whole):
    # 100 % is said of all alone.
    return f"{int(1000 * part / whole) / 10:.1f} %" if whole else ""


def _counts(reached, explained, everything):
    """Cells of a table: reached of all, in per cent, explained, open."""
    missing = everything - reached - explained
    return [
        f"{reached:,} of {everything:,}" if everything else "none",
        _percent(reached, everything),
        f"{explained:,}" if explained else "",
        f"**{missing:,}**" if missing else "",
    ]


def _table(columns, rows):
    """A table, its numbers to the right: columns whose names begin with a blank."""
    yield f"| {' | '.join(name.strip() for name in columns)} |"
    yield "|" + "|".join("--:" if name.startswith(" ") else "--" for name in columns) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


COLUMNS = [
    "Component",
    "Bench",
    " Branches",
    " ",
    " Explained",
    " Open",
    " Bits",
    " ",
    " Explained",
    " Open",
]


def _why(reason):
    return reason.why


def _later(components):
    """Commits of what was measured alone since then: "`file`, `file`: commit"."""
    found = defaultdict(list)
    for file, entry in components.items():
        if "commit" in entry:
            found[entry["commit"]].append(f"`{file}`")
    return [f"{', '.join(files)}: {commit}" for commit, files in found.items()]


def _rtl(part):
    yield "## Components"
    yield ""
    yield f"Commit {part['commit']}{'; '.join(['', *_later(part['components'])])}."
    yield ""
    totals = {
        what: [sum(column) for column in zip(*(e[what] for e in part["components"].values()))]
        for what in ("branches", "bits")
    }
    yield from _table(
        COLUMNS,
        [
            [f"`{file}`", entry["bench"], *_counts(*entry["branches"]), *_counts(*entry["bits"])]
            for file, entry in part["components"].items()
        ]
        + [["all", "", *_counts(*totals["branches"]), *_counts(*totals["bits"])]],
    )
    yield ""
    yield "### Reasons"
    yield ""
    for why, group in groupby(sorted(reasons.load(), key=_why), key=_why):
        places = ", ".join(
            f"{reason.component} `{reason.branch or reason.signal}`"
            + f" {reason.kind}" * bool(reason.kind)
            + f" [{reason.bits}]" * bool(reason.bits)
            for reason in group
        )
        yield f"- {why} {places}"


def _programs(part):
    yield "## Random programs"
    yield ""
    yield f"Commit {part['commit']}: `{part['command']}`."
    yield ""
    yield from _table(
        ["Class of bins", " Reached", " "],
        [
            [name, f"{reached:,} of {everything:,}", _percent(reached, everything)]
            for name, (reached, everything) in part["classes"].items()
        ],
    )
    if part["missing"]:
        yield ""
        yield f"Not reached: {', '.join(f'`{name}`' for name in part['missing'])}."


def _python(part):
    yield "## Python"
    yield ""
    yield f"Commit {part['commit']}. The benches run within Verilator, where no Python is measured."
    yield ""

    def row(name, lines, of_lines, branches, of_branches):
        return [
            name,
            f"{lines:,} of {of_lines:,}",
            _percent(lines, of_lines),
            f"{branches:,} of {of_branches:,}",
            _percent(branches, of_branches),
        ]

    columns = [" Lines", " ", " Branches", " "]
    yield from _table(
        ["Package", *columns],
        [row(f"`{name}`", *numbers) for name, numbers in python.packages(part["files"]).items()],
    )
    yield ""
    yield f"The {WORST} files of which most lines are missing:"
    yield ""
    missing = sorted(part["files"].items(), key=lambda item: item[1][0] - item[1][1])
    why = reasons.python()
    yield from _table(
        ["File", *columns, "Missing", "Why"],
        [
            [*row(f"`{file}`", *numbers), lines, why.get(file, "")]
            for file, (*numbers, lines) in missing[:WORST]
        ],
    )


INTRODUCTION = """\
# Coverage

What the tests reach, and why they do not reach the rest. `make coverage PART=rtl` measures the
components, `PART=programs` the random programs, `PART=python` the Python code; docs/coverage.json
has the numbers. The command fails, and changes nothing, if less is reached than is recorded there.

Of each **component** its own bench counts: all the cases of it. A **branch** is one of the Amaranth source: the body of an If, Elif, Else, Case or
State, or that none of an If's conditions holds. It is reached when it is active at a clock edge,
in at least one of the component's configurations. A **bit** is one of a signal that has a name in
the source, or of a field of it; it is reached when it has risen and fallen. Verilator counts both,
as toggles: lines of the generated Verilog are nobody's. **Explained** is what has a reason, in
sim/coverage/reasons.toml; **open** what has none."""

PARTS = {"rtl": _rtl, "programs": _programs, "python": _python}


def markdown():
    """Lines of the page."""
    yield from INTRODUCTION.splitlines()
    recorded = record.load()
    for name, lines in PARTS.items():
        if name in recorded:
            yield ""
            yield from lines(recorded[name])
