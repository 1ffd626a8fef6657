"""Instrument a component's Verilog with coverage points: branches and bits of signals.

Verilator would count lines of Verilog, which nobody reads. So each branch of the Amaranth source
gets a register that is set once the branch is active at a clock edge: it toggles if the branch is
reached. Of all other wires, those are counted that have a name in the source.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from amaranth.back import verilog
from amaranth.hdl import Const, Fragment, Instance, Signal
from amaranth.hdl._ast import Switch
from amaranth.hdl._ir import PortDirection
from amaranth.lib.wiring import In

from ..checkers.attach import PORTS
from ..tools import ROOT


__all__ = ["ARGS", "Branch", "Bits", "convert", "declared"]


ARGS = ["--coverage-toggle", "--coverage-max-width", "4096"]
ON, OFF = "/* verilator coverage_on */", "/* verilator coverage_off */"
KIND = "branch"  # attribute of the registers


@dataclass(frozen=True)
class Branch:
    """A branch of the source: the body of an If, Elif, Else, Case or State, or what is left of an
    If.

    Attributes
    ----------
    file : :class:`str`
        Relative to the checkout.
    line : :class:`int`
        Of the `with` statement.
    kind : :class:`str`
        "taken"; or "else", that none of the branches of an If without Else is taken.
    """

    file: str
    line: int
    kind: str


@dataclass(frozen=True)
class Bits:
    """A signal with a name, or a field of it.

    Attributes
    ----------
    file : :class:`str`
        Of the component, relative to the checkout.
    name : :class:`str`
        As in Verilog; what has no name is called by its line.
    width : :class:`int`
    """

    file: str
    name: str
    width: int


def _add_registers(fragment, files, clocked):
    """Set a register in each branch of a fragment, and of all in it, whose source is of `files`."""

    def mark(location, kind):
        if location is None or _relative(location[0]) not in files:
            return []  # of a reset, or of who has a bench of their own
        register = Signal(name=f"reached_{location[1]}_{kind}", attrs={KIND: kind}, reset_less=True)
        register.src_loc = location
        return [register.eq(Const(1))]

    def marks(statements):
        """The same statements, with nothing but registers in them."""
        for statement in statements:
            if not isinstance(statement, Switch):
                continue
            cases = [
                (patterns, [*mark(location, "taken"), *marks(body)], location)
                for patterns, body, location in statement.cases
            ]
            # An If matches each of its conditions for one, whatever those after it are.
            if all(patterns and set(patterns[0]) <= {"1", "-"} for patterns, _, _ in cases):
                cases.append((None, mark(statement.src_loc, "else"), statement.src_loc))
            yield Switch(statement.test, cases, src_loc=statement.src_loc)

    added = [marked for statements in fragment.statements.values() for marked in marks(statements)]
    # In comb, what comes and goes while signals settle would count.
    fragment.add_statements("sync" if clocked else "comb", *added)
    for child, _, _ in fragment.subfragments:
        if type(child) is Fragment:
            _add_registers(child, files, clocked)


def _clocked(fragment):
    """Whether there is a clock in a component. Memories have one; checkers, which are instances, do
    not give it one."""
    return "sync" in fragment.statements or any(
        not isinstance(child, Instance) if type(child) is not Fragment else _clocked(child)
        for child, _, _ in fragment.subfragments
    )


def convert(made, name, files):
    """Verilog of a component, with what is to be counted of `files` between `ON` and `OFF`."""
    ports = {
        "__".join(map(str, path)): (
            getattr(value, "as_value", lambda value=value: value)(),
            PortDirection.Input if member.flow == In else PortDirection.Output,
        )
        for path, member, value in made.signature.flatten(made)
    }
    fragment = Fragment.get(made, None)
    _add_registers(fragment, files, _clocked(fragment))
    lines = verilog.convert(fragment, name=name, ports=ports).splitlines()
    counted = {line for line, _ in _points(lines, files)}
    return (
        "\n".join(
            [OFF, *(f"{ON} {line} {OFF}" if n in counted else line for n, line in enumerate(lines))]
        )
        + "\n"
    )


MODULE = re.compile(r"\s*module (\\\S+|\w+) ?\((.*)")
SOURCE = re.compile(r'\s*\(\* src = "(.*):(\d+)" \*\)')
ATTRIBUTE = re.compile(r'\s*\(\* (\w+) = "?(.*?)"? \*\)')
DECLARED = re.compile(r"\s*(?:input|output|inout|wire|reg) (?:\[(\d+):0\] )?(\\\S+|\w+) *(= .*)?;")

UNNAMED = re.compile(r"clk|rst|_\d+_")  # or named by no one; the last by Yosys, around memories


def _relative(path):
    path = Path(path)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else ""


def _names(ports):
    """Names in a part of a module's list of ports."""
    return {name.strip(" \\();") for name in ports.split(",")}


def _points(lines, files):
    """Yield (line, :class:`Branch` or :class:`Bits`) for what is to be counted of `files`. Lines
    are from 0."""
    signals, module, source, kind = {}, None, None, None
    for n, line in enumerate(lines):
        if match := SOURCE.match(line):
            source = _relative(match[1]), int(match[2])
        elif match := ATTRIBUTE.match(line):
            kind = match[2] if match[1] == KIND else kind
        elif match := MODULE.match(line):
            module, ports, source = source, _names(match[2]), None
        elif line.startswith(", "):  # a long list of ports goes on
            ports |= _names(line)
        elif match := DECLARED.match(line):
            name = match[2].removeprefix("\\")
            # A port is declared again, as a wire or register.
            if not source and name in signals:
                signals[name][0].append(n)
            if source and module:
                if kind:  # of one of the files: others have no register
                    signals[name] = [n], Branch(*source, kind)
                # Of other components' signals, what does not pass through here is counted there.
                elif (
                    module[0] in files
                    and not (UNNAMED.fullmatch(name) or name in PORTS)
                    and (source[0] == module[0] or name in ports)
                ):
                    signals[name] = [n], source, int(match[1] or 0) + 1
            source = kind = None
        elif line.strip() == "endmodule":
            yield from _named(signals, module)
            signals, module = {}, None


def _named(signals, module):
    """Points of a module: fields in place of what has any, and numbers that do not change."""
    whole = {name[:at] for name in signals for at in range(len(name)) if name[at] in ".["}
    count = {}
    for name, (where, *rest) in signals.items():
        if isinstance(rest[0], Branch):
            point = rest[0]
        elif name not in whole:
            source, width = rest
            # Amaranth numbers names that are in use already, from configuration to configuration
            # in another way.
            plain = re.sub(r"\$\d+", "", name)
            plain = re.sub(r"^\$signal", f"line {source[1]}", plain)
            count[plain] = count.get(plain, 0) + 1
            plain += f" #{count[plain]}" if count[plain] > 1 else ""
            point = Bits(module[0], plain, width)
        else:
            continue
        for n in where:
            yield n, point


def declared(text, files):
    """What is counted on which line, from 1, of the Verilog that :func:`convert` gave."""
    lines = [line.removeprefix(ON + " ").removesuffix(" " + OFF) for line in text.splitlines()]
    return {n + 1: point for n, point in _points(lines, files)}
