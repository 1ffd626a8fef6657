"""Device interface of the host, and the base class of devices with registers."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import (
    COUNTERS,
    EVENT_COUNTERS,
    IDENTITY,
    REGISTERS,
    TOKENS,
    WATCHDOG_CYCLES,
    FaultCode,
)
from rtl.spec.isa import WeightFormat, decode
from sw_ref.logits import capped

from .errors import UserError


__all__ = [
    "DeviceError",
    "DeviceFault",
    "Step",
    "Device",
    "RegisterDevice",
    "check_digest",
    "instruction_text",
]


PATIENCE = 10  # seconds


class DeviceError(UserError):
    """The device, or the image for it, is not what was expected."""


class DeviceFault(DeviceError):
    """The machine stopped itself.

    Attributes
    ----------
    code : :class:`rtl.spec.csr.FaultCode` or :class:`int`
    pc : :class:`int`
        Index of the instruction.
    info : :class:`int`
        Depends on the code.
    instruction : :class:`str`
        That instruction, decoded.
    node : :class:`str` or None
        Node of the model's graph that it is for, where that is known.
    """

    def __init__(self, code, pc, info, instruction, node=None):
        self.code = FaultCode(code) if code in list(FaultCode) else code
        self.pc, self.info, self.instruction, self.node = pc, info, instruction, node
        name, of = getattr(self.code, "name", code), "" if node is None else f" of {node}"
        super().__init__(f"fault {name}, info {info:#x}, at instruction {pc}{of}: {instruction}")


def instruction_text(image, pc):
    """The instruction of that index, decoded as far as it can be."""
    if pc >= image.length:
        return "past the end of the program"
    at = image.program * UNIT_BYTES + 32 * pc
    word = int.from_bytes(bytes(image.memory[at : at + 32]), "little")
    try:
        return str(decode(word))
    except ValueError as error:
        return f"{word:#x} ({error})"


def check_digest(device, image):
    """Refuse an image for another configuration than the device's, or with weights that it cannot
    take.
    """
    if image.digest != device.config.digest:
        raise DeviceError(
            f"{device.name}: configuration {device.config.name!r} has digest "
            f"{device.config.digest}, but "
            f"the image was compiled for {image.digest}. Compile the model for this configuration"
        )
    lacking = image.lacks(device.config)
    if lacking is not None:
        raise DeviceError(f"{device.name}: {lacking}. Build the device with it")


@dataclass(frozen=True, eq=False)
class Step:
    """What came of one step.

    Attributes
    ----------
    ids : int array
        Tokens with the best logits, best first: `BEST` of them, or as many as there are. Empty when
        no logits were asked for.
    logits : float32 array
        Their logits, capped where the model caps them.
    cycles : :class:`int` or None
        Cycles that the device took, where it has any.
    counts : mapping
        Counters, by their names in :data:`rtl.spec.csr.EVENT_COUNTERS`; none of devices without.
    """

    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    logits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    cycles: int | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def weight_beats(self):
        """Beats of weights that it read."""
        return self.counts.get("WEIGHT_BEATS", 0)

    @property
    def starved(self):
        """Cycles in which the linear unit waited for weights."""
        return self.counts.get("STARVED", 0)


class Device(Protocol):
    """An accelerator, of whatever kind: its functional model, its simulation, or a board.

    Attributes
    ----------
    progress : callable or None
        Called with the cycles of the current step, now and then while it runs, by devices that can.
    """

    progress: Callable[[int], None] | None

    @property
    def name(self):
        """What to call it in messages."""

    @property
    def config(self):
        """Its :class:`rtl.spec.config.Config`."""

    def load(self, image):
        """Take a :class:`host.image.image.Image`; its KV cache is empty then.

        Raises :exc:`DeviceError` if it is for another configuration.
        """

    def step(self, tokens, position, head):
        """Feed `tokens` from `position` on, at most `config.columns` of them. Returns
        :class:`Step`.

        Logits are those of the last token, and only there are any if `head` is true.
        """

    def close(self):
        """Let go of it. May be called again, and after an exception."""


class RegisterDevice:
    """A device with the registers of :mod:`rtl.spec.csr` and a memory.

    A subclass implements :meth:`read`, :meth:`write`, :meth:`write_memory`, :meth:`run`.

    Parameters
    ----------
    config : :class:`rtl.spec.config.Config`
    watchdog : :class:`int`
        Cycles without progress after which the machine faults.
    progress : callable or None
        Called with the cycles of the current step, now and then while it runs.
    """

    name = "device"

    def __init__(self, config, *, watchdog=WATCHDOG_CYCLES, progress=None):
        self.config, self.watchdog = config, watchdog
        self.progress: Callable[[int], None] | None = progress
        self.image: Any = None

    # What a subclass provides.

    def read(self, address):
        """Read a register."""
        raise NotImplementedError

    def write(self, address, value):
        """Write a register."""
        raise NotImplementedError

    def write_memory(self, memory, units):
        """Provide `units` units of DRAM that begin with the bytes of `memory`; the rest is zero."""
        raise NotImplementedError

    def run(self):
        """Let it work, for a fraction of a second at most."""
        time.sleep(0.001)

    def close(self):
        """Let go of it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # What they have in common.

    def get(self, name, index=0):
        """Value of a register."""
        return self.read(REGISTERS[name].address + 4 * index)

    def get_all(self, name):
        """Values of all registers of a name."""
        return [self.get(name, n) for n in range(REGISTERS[name].count)]

    def set(self, name, value, index=0):
        """Set a register."""
        self.write(REGISTERS[name].address + 4 * index, value)

    def counters(self):
        """Where the cycles of the last step went: :data:`rtl.spec.csr.COUNTERS`, by name. None of
        a machine that was built without.
        """
        return (
            {name: self.get("COUNTER", n) for name, n in COUNTERS.items()}
            if self.get("COUNTERS") == len(COUNTERS)
            else {}
        )

    def load(self, image):
        """Take an image; see :meth:`Device.load`."""
        check_digest(self, image)
        self.write_memory(image.memory, image.memory_units)
        self.check_registers(image)
        self.set("CONTROL", 2)
        self.set("PROGRAM", image.program)
        self.set("LENGTH", image.length)
        self.set("MEMORY", image.memory_units)
        for name, unit in zip(("WRITE_FIRST", "WRITE_END"), image.writable):
            self.set(name, unit)
        self.set("WATCHDOG", self.watchdog)
        self.image = image

    def check_registers(self, image):
        """Refuse a device that is no such accelerator, or cannot run the image."""
        identity, digest = self.get("IDENTITY"), self.get("DIGEST")
        if identity != IDENTITY:
            raise DeviceError(
                f"{self.name}: register IDENTITY must be {IDENTITY:#010x}, not "
                f"{identity:#010x}. Is the link right, and the bitstream loaded?"
            )
        # The register holds the digest's first 32 bits, which is what its first 8 digits spell.
        if digest != int(self.config.digest[:8], 16):
            raise DeviceError(
                f"{self.name}: the device has configuration digest {digest:08x}, but "
                f"{self.config.name!r} has {self.config.digest[:8]}. Build it again"
            )
        # Which the digest leaves open: one image is for all cores that have what it needs.
        able = self.get("FORMATS")
        for name in image.formats:
            if not able >> WeightFormat[name].value & 1:
                takes = ", ".join(fmt.name for fmt in WeightFormat if able >> fmt.value & 1)
                raise DeviceError(
                    f"{self.name}: the image has weights in the format {name}, but the device "
                    f"takes {takes}. Build it with {name}, or compile the model for it"
                )

    def step(self, tokens, position, head):
        """Feed tokens; see :meth:`Device.step`."""
        if self.image is None:
            raise DeviceError(f"{self.name}: load an image first")
        most = min(self.config.columns, TOKENS)
        if not 1 <= len(tokens) <= most:
            raise ValueError(f"Tokens of a step must be from 1 to {most}, not {len(tokens)}")
        for n, token in enumerate(tokens):
            self.set("TOKEN", int(token), n)
        self.set("POSITION", position)
        self.set("COLUMNS", len(tokens))
        self.set("HEAD", int(bool(head)))
        self.settle()
        self.set("CONTROL", 1)
        try:
            while not (status := self.get("STATUS")) & 6:
                if not status & 1:
                    raise DeviceError(
                        f"{self.name}: register STATUS must be busy, done or fault after a "
                        f"start, not {status:#x}. Load the image again"
                    )
                self.run()
                if self.progress is not None:
                    self.progress(self.get("CYCLES"))
        except KeyboardInterrupt:
            self.set("CONTROL", 2)
            raise
        if status & 4:
            self.fault()
        counts = {
            "cycles": self.get("CYCLES") | self.get("CYCLES", 1) << 32,
            "counts": {name: self.get(name) for name in EVENT_COUNTERS},
        }
        if not head:
            return Step(**counts)
        best = np.array(self.get_all("BEST"), np.uint32).reshape(-1, 2)[: self.image.vocab]
        logits = capped(best[:, 0].copy().view(np.float32), self.image.model["logit_cap"])
        return Step(best[:, 1].astype(np.int64), logits, **counts)

    def settle(self):
        """Wait for the end of a reset: a start before it would be ignored."""
        until = time.monotonic() + PATIENCE
        while self.get("STATUS") & 1:
            if time.monotonic() > until:
                raise DeviceError(
                    f"{self.name}: still busy {PATIENCE} seconds after a reset, so its memory "
                    "does not answer. Reset the memory too, and load the image again"
                )
            self.run()

    def fault(self):
        """Raise :exc:`DeviceFault` for what the registers say, and reset the machine."""
        code, pc, info = (self.get(name) for name in ("FAULT_CODE", "FAULT_PC", "FAULT_INFO"))
        self.set("CONTROL", 2)
        assert self.image is not None
        raise DeviceFault(code, pc, info, instruction_text(self.image, pc), self.image.node(pc))
