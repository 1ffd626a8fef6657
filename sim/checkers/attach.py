"""Attaches checkers to all streams and AXI ports of a design, at every level of its hierarchy."""

from contextlib import contextmanager

from amaranth import *
from amaranth.back import rtlil, verilog
from amaranth.hdl import Fragment, Instance
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..harness.initial import without_initial
from ..tools import ROOT
from .exceptions import LOOSE, MAY_FALL, ONLY_WHILE, announced, limits_of
from .rules import package


__all__ = ["Checked", "PORTS", "checked_verilog", "memories_unset", "plain_verilog"]


ADDRESS = ("id", "addr", "len", "size", "burst")
# What a component with checkers has besides its own ports.
PORTS = {"checking": In(1), "violation": Out(32)}
CHANNELS = {
    "ar": ADDRESS,
    "r": ("id", "data", "resp", "last"),
    "aw": ADDRESS,
    "w": ("data", "strb", "last"),
    "b": ("id", "resp"),
}


def _sources():
    """SystemVerilog of the checkers."""
    folder = ROOT / "sim" / "checkers"
    return "\n".join([package(), *(path.read_text() for path in sorted(folder.glob("*.sv")))])


@contextmanager
def memories_unset():
    """Within it, Amaranth's RTLIL says nothing of memories that begin with zeros.

    Otherwise each bit of each word is an object, and large memories take minutes. Amaranth has no
    option for it; its version is pinned.
    """
    emit_memory = rtlil.ModuleEmitter.emit_memory

    def emit(self, cell_idx, cell):
        if any(cell.init):
            emit_memory(self, cell_idx, cell)

    rtlil.ModuleEmitter.emit_memory = emit
    try:
        yield
    finally:
        rtlil.ModuleEmitter.emit_memory = emit_memory


def plain_verilog(component, name):
    """Verilog of a component, as it is synthesized, but for memories that begin with zeros: in
    Verilator they do so anyway.

    Without places in the source, so that it only changes with the hardware, and not with a comment.
    """
    with memories_unset():
        return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)


def checked_verilog(component, name, convert=plain_verilog, rewrite=None):
    """Verilog of a component and its checkers, whose registers and memories have no initial values.

    `convert` makes Verilog of a :class:`Checked` component, without the checkers' own; `rewrite`
    takes that, and returns what to use instead. Returns the Verilog, and the places that are looked
    at, for :func:`describe`.
    """
    checked = Checked(component)
    text = convert(checked, name)
    if rewrite is not None:
        text = rewrite(text)
    return without_initial(text) + _sources(), checked.places


class Checked(Elaboratable):
    """A component with checkers inside. Without a clock it stays as it is.

    Parameters
    ----------
    component : :class:`amaranth.lib.wiring.Component`

    Attributes
    ----------
    signature : :class:`amaranth.lib.wiring.Signature`
        That of the component, with two members more: nothing is checked while the input `checking`
        is low, and the output `violation` is the first thing found since then, for
        :func:`describe`.
    places : list of :class:`str`
        What is looked at: paths of components, and their ports.
    """

    def __init__(self, component):
        self._component, self.places = component, []
        self._fragment = Fragment.get(component, None)
        self.checking, self.violation = Signal(), Signal(32)
        members = dict(component.signature.members)
        domain = _domain(self._fragment, None)
        if domain is not None:
            _attach(self._fragment, (), domain, self.places)
            self._fragment.add_subfragment(
                Instance(
                    "checkers_summary",
                    a_keep=1,
                    i_clk=ClockSignal(domain),
                    i_checking=self.checking,
                    o_violation=self.violation,
                ),
                "checkers_summary",
            )
            members |= PORTS
        self.signature = wiring.Signature(members)

    def __getattr__(self, name):
        return getattr(self._component, name)

    def elaborate(self, platform):
        return self._fragment


def _domain(fragment, inherited):
    """Clock domain of a fragment: its own statements', or that of what is in it."""
    for domain in fragment.statements:
        if domain != "comb":
            return domain
    for inner, _, _ in fragment.subfragments:
        domain = _domain(inner, None)
        if domain is not None:
            return domain
    return inherited


def _attach(fragment, path, domain, places):
    for inner, name, _ in list(fragment.subfragments):
        if not isinstance(inner, Instance):
            _attach(inner, (*path, name or "?"), _domain(inner, domain), places)
    for origin in fragment.origins or ():
        if isinstance(origin, wiring.Component):
            _Checks(fragment, path, domain, places).of(origin)
            break


class _Checks:
    """Adds the checkers of one component to its fragment."""

    def __init__(self, fragment, path, domain, places):
        self.fragment, self.path, self.domain, self.places = fragment, path, domain, places

    def of(self, component):
        kind, ports = type(component).__name__, {}
        for (*path, name), _, value in component.signature.flatten(component):
            ports.setdefault(".".join(map(str, path)), {})[str(name)] = value
        if announced(component):
            self.busy(component, *announced(component))
        for port, signals in ports.items():
            if {"valid", "ready", "payload"} <= set(signals):
                payload = LOOSE.get((kind, port), Value.cast)(signals["payload"])
                may_fall = Const((kind, port) in MAY_FALL)
                if (kind, port) in ONLY_WHILE:
                    may_fall = getattr(component, ONLY_WHILE[kind, port])
                self.stream(port, signals["valid"], signals["ready"], payload, may_fall)
            for name in list(signals):
                if name.endswith(("arvalid", "awvalid")):
                    prefix, address = name[: -len("arvalid")], name[-len("arvalid") :][:2]
                    self.axi(
                        component,
                        f"{port}.{prefix}".strip("._"),
                        address,
                        {
                            name.removeprefix(prefix): signal
                            for name, signal in signals.items()
                            if name.startswith(prefix)
                        },
                    )

    def stream(self, port, valid, ready, payload, may_fall=Const(0)):
        self.add(
            "stream_checker",
            port,
            p_WIDTH=max(len(payload), 1),
            i_valid=valid,
            i_ready=ready,
            i_may_fall=may_fall,
            i_payload=payload if len(payload) else Const(0),
        )

    def busy(self, component, streams, settle):
        under_way = [getattr(component, name).valid for name in streams]
        # Lines for DRAM are under way until it confirms them.
        under_way += [~component.written] if hasattr(component, "written") else []
        self.add(
            "busy_checker",
            "busy",
            p_WIDTH=len(under_way),
            p_SETTLE=settle,
            i_busy=component.busy,
            i_under_way=Cat(under_way),
        )

    def axi(self, component, port, address, signals):
        """One direction of an AXI4 or AXI4-Lite port: that of an `address` channel."""
        channels = {"ar": ("ar", "r"), "aw": ("aw", "w", "b")}[address]
        for channel in channels:
            self.stream(
                f"{port}.{channel}",
                signals[f"{channel}valid"],
                signals[f"{channel}ready"],
                Cat(
                    signals[channel + name]
                    for name in CHANNELS[channel]
                    if channel + name in signals
                ),
            )
        kind = {"ar": "read", "aw": "write"}[address]
        if f"{address}len" not in signals:
            kind, limits, fields = f"lite_{kind}", {}, ()
        else:
            limits = {
                f"p_{name}": value for name, value in limits_of(component, port, kind).items()
            }
            limits |= {
                "p_ADDR": len(signals[f"{address}addr"]),
                "p_ID": len(signals[f"{address}id"]),
                "p_BYTES": len(signals["rdata" if kind == "read" else "wdata"]) // 8,
            }
            fields = [
                *(address + name for name in ADDRESS),
                channels[-1] + "id",
                {"read": "rlast", "write": "wlast"}[kind],
            ]
        shown = [*(channel + name for channel in channels for name in ("valid", "ready")), *fields]
        self.add(
            f"axi_{kind}_checker", port, **limits, **{f"i_{name}": signals[name] for name in shown}
        )

    def add(self, kind, port, **arguments):
        self.places.append(f"{'.'.join(self.path)} {port}".strip())
        self.fragment.add_subfragment(
            Instance(
                kind,
                a_keep=1,
                i_clk=ClockSignal(self.domain),
                i_rst=ResetSignal(self.domain),
                i_number=Const(len(self.places) - 1, 16),
                **arguments,
            ),
            f"check_{len(self.places) - 1}",
        )
