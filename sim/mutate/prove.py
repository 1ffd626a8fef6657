"""Prove mutants equivalent to the good design.

Both get the same inputs from the same reset. By induction over clock cycles: take it that a set of
bits of registers, and of memories, is the same in both; then their inputs are the same again, and
so are the outputs. The set begins with all of them, and loses those that may come to differ, until
it stays (C. A. J. van Eijk, "Sequential equivalence checking based on structural similarities",
2000). A bit that is the same in both is one signal to the solver, so what the mutant does not touch
falls together before it starts. Bits outside the set hold anything: that of a register which nobody
reads spoils nothing.

A failed proof says nothing: states that are never reached may be what tells the two apart.
"""

import re
import time

from .netlist import SELECT, run_yosys


__all__ = ["EQUIVALENT", "CONTRACT", "equivalent", "proof"]


EQUIVALENT, CONTRACT = "proven equivalent", "proven equivalent by the streams' contract"
SECONDS = 60.0  # of a proof
BLOCK = re.compile(r"^  cell (\S+) \S+\n(.*?)^  end\n", re.M | re.S)
ATTRIBUTE = re.compile(r"^  attribute .*\n", re.M)
PORT = re.compile(
    r"^  wire (?:width (\d+) )?(?:upto )?(?:offset \d+ )?(input|output) \d+ "
    r"(?:signed )?\\(\S+)\n",
    re.M,
)
# Of a memory, in yosys' words.
READ = "RD_DATA"
NEVER = ["1'b0"]


class _Cut:
    """A module without its registers and memories: their outputs are its inputs, and vice versa.

    Attributes
    ----------
    text : :class:`str`
        As RTLIL.
    inputs, outputs : dict
        Widths of the module's own ports.
    parts : list
        Of each register or memory: widths of its outputs, and of its inputs, by port.
    bits : list of :class:`int`
        How many there are of each that may differ alone: a register's width. A memory is one.
    """

    def __init__(self, text):
        text = ATTRIBUTE.sub("", text)
        ports = [(kind, name, int(width or 1)) for width, kind, name in PORT.findall(text)]
        self.inputs = {name: width for kind, name, width in ports if kind == "input"}
        self.outputs = {name: width for kind, name, width in ports if kind == "output"}
        self.parts, self.bits, self._ports, self._number = [], [], [], len(ports)
        text = BLOCK.sub(self._cut, text)
        head, body = re.match(r"(.*?^module \S+\n)(.*)", text, re.M | re.S).groups()
        self.text = head + "".join(self._ports) + body

    def _cut(self, match):
        kind, body = match.groups()
        if kind not in ("$dff", "$adff", "$mem_v2"):
            return match[0]
        sizes = {
            name: int(value)
            for name, value in re.findall(r"parameter (?:signed )?\\(\w+) (\d+)$", body, re.M)
        }
        connects = dict(re.findall(r"^    connect \\(\w+) (.*)$", body, re.M))
        out = {READ if kind == "$mem_v2" else "Q"}
        given, taken, lines = {}, {}, []
        for port, signal in connects.items():
            width = self._width(kind, port, sizes)
            name = f"\\part{len(self.parts)}_{port}"
            if not width:
                continue
            self._number += 1
            way = "input" if port in out else "output"
            self._ports.append(f"  wire width {width} {way} {self._number} {name}\n")
            (given if port in out else taken)[port] = width
            lines.append(
                f"  connect {signal} {name}\n" if port in out else f"  connect {name} {signal}\n"
            )
        self.parts.append((given, taken))
        self.bits.append(given.get("Q", 1))
        return "".join(lines)

    @staticmethod
    def _width(kind, port, sizes):
        if kind != "$mem_v2":
            return sizes["WIDTH"] if port in "DQ" else 1
        count = sizes[f"{port[:2]}_PORTS"]
        return count * {
            "ADDR": sizes["ABITS"],
            "DATA": sizes["WIDTH"],
            "EN": sizes["WIDTH"] if port[:2] == "WR" else 1,
        }.get(port[3:], 1)


def _masks(outputs):
    """Outputs that mean nothing while another is low: names of payloads, to names of `valid`."""
    valids = [name for name in outputs if name.endswith("valid") and name != "valid"]
    return {
        name: valid
        for name in outputs
        for valid in valids
        if name.startswith(valid.removesuffix("valid")) and not name.endswith(("valid", "ready"))
    }


def _binary(width, mask):
    return f"{width}'b{mask & (1 << width) - 1:0{width}b}"


def _miter(cut, number, same, masks):
    """Verilog of the good design and a mutant, side by side.

    `same` has a mask for each part: its bits that are the same in both. The output `differ` has the
    same bits, one behind the other, which are 1 when they come to differ; `seen` a bit for each
    output.
    """
    ports, wires, differ, seen, pins = [], [], [], [], {"good": [], "gate": []}

    def pin(of, name, signal):
        pins[of].append(f".\\{name} ({signal})")

    for name, width in cut.inputs.items():
        if name != SELECT:
            ports.append(f"input [{width - 1}:0] \\in.{name} ")
            for of in pins:
                pin(of, name, f"\\in.{name} ")
    width = cut.inputs[SELECT]
    pin("good", SELECT, f"{width}'d0")
    pin("gate", SELECT, f"{width}'d{number}")
    for n, (given, taken) in enumerate(cut.parts):
        bits, mask = cut.bits[n], same[n]
        for port, width in given.items():
            ports += [f"input [{width - 1}:0] {of}_{n}_{port}" for of in ("both", *pins)]
            shared = _binary(width, mask if bits > 1 else -mask)
            for of in pins:
                pin(
                    of,
                    f"part{n}_{port}",
                    f"both_{n}_{port} & {shared} | {of}_{n}_{port} & ~{shared}",
                )
        for port, width in taken.items():
            for of in pins:
                wires.append(f"wire [{width - 1}:0] {of}_{n}_{port};")
                pin(of, f"part{n}_{port}", f"{of}_{n}_{port}")
        ways = [
            f"good_{n}_{port} ^ gate_{n}_{port}"
            if width == bits
            else f"{{{bits}{{good_{n}_{port} != gate_{n}_{port}}}}}"
            for port, width in taken.items()
        ]
        differ.append(f"({' | '.join(ways)}) & {_binary(bits, mask)}")
    for n, (name, width) in enumerate(cut.outputs.items()):
        if not width:
            seen += NEVER
            continue
        for of in pins:
            wires.append(f"wire [{width - 1}:0] \\{of}.{name} ;")
            pin(of, name, f"\\{of}.{name} ")
        mask = f" & \\good.{masks[name]} " if name in masks else ""
        seen.append(f"(\\good.{name} != \\gate.{name} ){mask}")

    def vector(name, bits):
        return f"assign {name} = {{{', '.join(reversed(bits or NEVER))}}};"

    ports += [
        f"output [{max(sum(cut.bits), 1) - 1}:0] differ",
        f"output [{max(len(seen), 1) - 1}:0] seen",
    ]
    return "\n".join(
        [
            f"module miter({', '.join(ports)});",
            *wires,
            *(f"cut {of}({', '.join(pins[of])});" for of in pins),
            vector("differ", differ),
            vector("seen", seen),
            "endmodule",
            "",
        ]
    )


def _model(text, signal):
    """Bits of a signal in what yosys' `sat` says, the least first; None when there is no model."""
    found = re.search(rf"^\s+\\{signal}\s+(?:\S+\s+)*?([01x]+)\s*$", text, re.M)
    return found and found[1][::-1]


def _find(cut, number, same, masks, signal, limit):
    """Bits of `signal` in a case in which one of them is 1; "" when there is none, None when it
    is not known in time."""
    results = run_yosys(
        [
            "read_rtlil cut.il",
            "read_verilog miter.v",
            "hierarchy -top miter",
            "flatten",
            "proc",
            "opt -full",
            f"tee -q -o sat.log sat -prove {signal} 0 -show {signal} miter",
        ],
        {"cut.il": cut.text, "miter.v": _miter(cut, number, same, masks)},
        ["sat.log"],
        limit,
    )
    if results is None:
        return None
    if "SAT proof finished - no model found: SUCCESS!" in results[0]:
        return ""
    return _model(results[0], signal)


def equivalent(text, module, number, *, contract=False, seconds=SECONDS):
    """Whether it is proven that a mutant's module behaves as the good one.

    Parameters
    ----------
    text : :class:`str`
        What :func:`~.netlist.insert` made.
    module : :class:`str`
        The module to prove it for, with all within: that of the mutant, or one around it.
    contract : :class:`bool`
        Outputs mean nothing while the `valid` that they belong to is low.
    """
    end = time.monotonic() + seconds
    flat = run_yosys(
        [
            "read_rtlil mutated.il",
            "delete t:*_checker t:checkers_summary",
            f"hierarchy -top {module}",
            "proc",
            "flatten",
            "opt_clean",
            "setundef -undriven -zero",
            "setundef -zero",
            f"rename {module} cut",
            "write_rtlil flat.il",
        ],
        {"mutated.il": text},
        ["flat.il"],
        seconds,
    )
    if flat is None:
        return False
    cut = _Cut(flat[0])
    masks = _masks(cut.outputs) if contract else {}
    same = [(1 << bits) - 1 for bits in cut.bits]
    while any(same):
        if (left := end - time.monotonic()) <= 0:
            return False
        found = _find(cut, number, same, masks, "differ", left)
        if found == "":
            break
        if found is None or "1" not in found:
            return False
        lost = int(found[::-1].replace("x", "0"), 2)
        for n, bits in enumerate(cut.bits):
            same[n] &= ~lost
            lost >>= bits
    left = end - time.monotonic()
    return left > 0 and _find(cut, number, same, masks, "seen", left) == ""


def proof(text, mutant, number, top):
    """What can be proven of a mutant: :data:`EQUIVALENT`, :data:`CONTRACT`, or None.

    First for its own module, then for the modules around it: the smaller, the sooner the proof. By
    the contract for `top` alone, which those outside of it keep to.
    """
    end = time.monotonic() + 2 * SECONDS
    module = mutant.module
    while module != top:
        if time.monotonic() < end and equivalent(text, module, number):
            return EQUIVALENT
        module = module.rpartition(".")[0]
    # What fails by the contract fails without it.
    if not equivalent(text, top, number, contract=True):
        return None
    return EQUIVALENT if equivalent(text, top, number) else CONTRACT
