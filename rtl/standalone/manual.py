"""Manual of a linear core by itself: its ports, handshake and codes, in Markdown."""

from ..spec.formats import FORMATS, SPARSE
from ..spec.formats.nibbles import CodeBook, SixBits
from ..spec.numbers import GROUP
from ..spec.sparse_modes import INDEX_BITS, SLOTS


__all__ = ["manual"]


TEXT = """\
# {name}

{what} From configuration `{config.name}` of Headrace; {name}.v needs nothing else.

| Parameter | |
|--|--|
| N, lanes: 128 bits of the codes each | {config.rows} |
| M, columns: activation vectors | {config.columns} |
| R, rows of a payload of sums | {core.lanes} |
| latency, from a step's operands to its first sums | {core.latency} cycles |
| steps that it holds at most | {core.capacity} |

## Ports

`clk` is the clock, `rst` a synchronous reset, active high. All else belongs to it.

| Port | Width | | |
|--|--|--|--|
{ports}

Every stream has the rules of AXI4-Stream: a payload moves in a cycle in which `valid` and `ready` are both high; once
`valid` is high, it stays, and the payload with it, until then. `valid` must not wait for `ready`. A step is
taken from `weights` and `acts` in the same cycle, so each `ready` waits for the other stream's `valid`. Sums
come in the order of the steps. The core takes steps until it has no room for their sums.

## Steps

A step multiplies some rows of weights with {group} activations per column, or 16. Row r's sum is that of the weights times the
activations of the same k, exactly. `q` is the code of row r and element k:

| `weights_format` | | Rows | Elements | Weight | q | Cycles |
|--|--|--|--|--|--|--|
{dense}

Weights have no scales here: whoever takes the sums multiplies them. Activations beyond a step's elements, and rows of sums
beyond its rows, do not matter.
{more}{sparse}
## Example

```verilog
{example}
```

`testbench.sv` gives it random steps of every kind with gaps and stalls, and checks the sums:

```
verilator --binary -Wno-fatal testbench.sv {name}.v && obj_dir/Vtestbench
```
"""

SPARSE_TEXT = """
### Sparse blocks

A step is 128 bits per lane of the codes of a block of 16 x 16 weights. The rows of a lane follow each
other from bit 0 on, each with n slots, one for each weight that is not zero; codes are in two's complement. Row r
is row r / N of lane r % N. Slot k stands for the element of 16 in the table, where `i` is the slot's index; that of
the first slot is lowest in the 128 bits per lane of `weights_index`. A slot not needed has code 0.

| `weights_mode` | n | Bits of i | Element |
|--|--|--|--|
{modes}

| `weights_format` | | Bits of a code | `weights_mode` | Rows | Payloads of sums | Cycles |
|--|--|--|--|--|--|--|
{steps}

Payload p has the rows from R * p on.
"""

SIX_TEXT = """
Codes of {formats} come decoded, as signed integers; `high` is `weights_high`.{books}
"""

HALVED_TEXT = """
Groups of {formats} have 16 elements: row N + r of their sums is that of row r over elements 16 to 31 alone.
"""


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def sparse_text(core):
    """The section on sparse formats, if the core has any."""
    formats = [fmt for fmt in core.formats if fmt in SPARSE]
    if not formats:
        return ""
    element = {0: "k", 2: "4 * (k / 2) + i", 4: "i"}
    modes = [
        row(mode.value, SLOTS[mode], INDEX_BITS[mode], f"`{element[INDEX_BITS[mode]]}`")
        for mode in core.modes
    ]
    steps = []
    for fmt, mode in core.kinds():
        if fmt in SPARSE:
            steps.append(
                row(
                    fmt.value,
                    fmt.name,
                    FORMATS[fmt].code_bits,
                    mode.value,
                    core.rows(fmt, mode) * core.config.rows,
                    core.core.outputs(fmt, mode),
                    core.cycles(fmt, mode),
                )
            )
    return SPARSE_TEXT.format(modes="\n".join(modes), steps="\n".join(steps))


def dense_text(core):
    """What is to be said of some dense formats beside the table, if the core has any of them."""
    six = [fmt for fmt in core.formats if isinstance(FORMATS[fmt], SixBits)]
    books = [
        f" {fmt.name} has {', '.join(map(str, sorted(set(FORMATS[fmt].book))))} alone."
        for fmt in six
        if isinstance(FORMATS[fmt], CodeBook)
    ]
    text = SIX_TEXT.format(formats=names(six), books="".join(books)) if six else ""
    halved = [fmt for fmt in core.formats if core.halved(fmt)]
    return text + (HALVED_TEXT.format(formats=names(halved)) if halved else "")


def names(formats):
    """Of formats, in a row."""
    return ", ".join(fmt.name for fmt in formats)


def manual(core):
    """Text of the manual of a :class:`~.standalone.Standalone`."""
    dense = []
    for fmt, mode in core.kinds():
        if fmt not in SPARSE:
            layout = core.layout(fmt)
            dense.append(
                row(
                    fmt.value,
                    fmt.name,
                    layout.rows * core.config.rows,
                    layout.elements,
                    f"`{layout.weight}`",
                    f"`{layout.code}`",
                    core.cycles(fmt, mode),
                )
            )
    lines = [f"    .{port.name}({port.name})" for port in core.ports]
    return TEXT.format(
        name=core.name,
        what=core.core.what,
        config=core.config,
        core=core.core,
        group=GROUP,
        dense="\n".join(dense),
        more=dense_text(core),
        sparse=sparse_text(core),
        ports="\n".join(
            row(f"`{port.name}`", port.width, "output" if port.output else "input", port.meaning)
            for port in core.ports
        ),
        example=",\n".join([f"{core.name} core (\n    .clk(clk)", "    .rst(rst)", *lines])
        + "\n);",
    )
