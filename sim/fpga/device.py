"""The simulated FPGA as a device of the host."""

import ctypes
import time

import numpy as np

from host.device import DeviceError, RegisterDevice
from host.image.image import whole_dram

from .. import timeline as timelines
from . import state
from .build import accelerator_library
from .dram_params import c_struct
from .nodes import Stepped, node_spans
from .traffic import bandwidth


__all__ = ["SimDevice"]


SLICE_SECONDS = 0.1  # of real time, between two looks at the keyboard

_POINTER, _U64, _U32 = ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32
_PROTOTYPES = {
    "hr_create": (_POINTER, _POINTER, _U64, _POINTER, ctypes.c_double),
    "hr_destroy": (None, _POINTER),
    "hr_run": (ctypes.c_int, _POINTER, _U64),
    "hr_read": (ctypes.c_int, _POINTER, _U32, _POINTER),
    "hr_write": (ctypes.c_int, _POINTER, _U32, _U32),
    "hr_cycles": (_U64, _POINTER),
    "hr_error": (ctypes.c_char_p, _POINTER),
    "hr_statistics": (None, _POINTER, _POINTER),
    "hr_record": (None, _POINTER, ctypes.c_int),
    "hr_transitions": (_U64, _POINTER, _POINTER),
    "hr_takings": (_U64, _POINTER, _POINTER),
    "hr_traffic": (_U64, _POINTER, _POINTER),
    "hr_peaks": (_U64, _POINTER, _POINTER),
    "hr_array": (_U64, _POINTER, ctypes.c_char_p, _POINTER, _POINTER),
    "hr_trace": (ctypes.c_int, _POINTER, ctypes.c_char_p),
}
_STATISTICS = (
    "read_beats",
    "write_beats",
    "read_bursts",
    "write_bursts",
    "dram_reads",
    "dram_writes",
    "dram_activates",
    "dram_refreshes",
    "dram_conflicts",
    "dram_clocks",
    "dram_idle",
    "dram_refreshing",
    "dram_opening",
    "dram_turning",
    "dram_spacing",
    "weight_beats",
    "kv_beats",
    "load_beats",
    "fetch_beats",
)


class SimDevice(RegisterDevice):
    """Verilated accelerator with a DRAM timing model.

    Parameters
    ----------
    config : :class:`rtl.spec.config.Config`
    library : path or None
        Library of :func:`sim.fpga.build.library`. None: that of the configuration, built if need
        be.
    memory : :class:`rtl.spec.dram.Dram` or None
        DRAM. None: the configuration's.
    timeline : path or None
        Write a timeline of the units' activity there when the device is closed.
    trace : path or None
        Record all signals there, as FST: slow, and large. Takes a build of its own.
    record : :class:`bool`
        Record :meth:`transitions` and :meth:`peaks` without writing a timeline, too.
    checked : :class:`bool`
        With checkers in the library, and a random state after each power-up: takes a build of its
        own.
    build_progress : callable or None
        Called with a line of text before each long step of building the library.
    watchdog, progress
        See :class:`host.device.RegisterDevice`.
    """

    name = "sim"

    def __init__(
        self,
        config,
        *,
        library=None,
        memory=None,
        timeline=None,
        trace=None,
        record=False,
        checked=False,
        build_progress=None,
        **options,
    ):
        super().__init__(config, **options)
        self._dram = memory or config.dram
        if library is None:
            library = accelerator_library(
                config, trace=trace is not None, checked=checked, progress=build_progress
            )
        try:
            self._lib = ctypes.CDLL(str(library))
        except OSError as error:
            raise DeviceError(f"{self.name}: {library}: cannot be loaded: {error}") from None
        for name, (result, *arguments) in _PROTOTYPES.items():
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        self._timeline, self._trace = timeline, trace
        self._record = record or timeline is not None
        self._steps = []
        self._handle, self._slice = None, 1000
        self.memory = np.zeros(0, np.uint8)

    def write_memory(self, memory, units):
        """Power up, with `memory` in DRAM."""
        self._power_down()
        self._steps = []
        # The harness works on this array in place: `self.memory` is the DRAM.
        self.memory = whole_dram(memory, units)
        self._handle = self._lib.hr_create(
            self.memory.ctypes.data,
            len(self.memory),
            ctypes.byref(c_struct(self._dram)),
            self.config.clock_mhz,
        )
        if self._trace is not None and not self._lib.hr_trace(
            self._handle, str(self._trace).encode()
        ):
            raise DeviceError(f"{self.name}: the library was built without tracing")
        if self._record:
            self._lib.hr_record(self._handle, 1)

    def _power_down(self):
        if self._handle is None:
            return
        try:
            if self._timeline is not None:
                transitions, end = self.transitions(), self.cycles
                timelines.write(
                    self._timeline,
                    transitions,
                    end,
                    clock_mhz=self.config.clock_mhz,
                    name=f"sim {self.config.name}",
                    nodes=self.nodes(),
                    bandwidth=bandwidth(self.traffic(), self.config),
                )
        finally:
            self._lib.hr_destroy(self._handle)
            self._handle = None

    def close(self):
        """Power down, and write the timeline."""
        self._power_down()

    def step(self, tokens, position, head):
        """Feed tokens; see :meth:`host.device.Device.step`."""
        if self._record and self.image is not None:
            self._steps.append(Stepped(self.cycles, tuple(tokens), position, bool(head)))
        return super().step(tokens, position, head)

    def _powered(self):
        if self._handle is None:
            raise DeviceError(f"{self.name}: load an image first")
        return self._handle

    def _check(self, ok):
        if not ok:
            raise DeviceError(f"{self.name}: {self._lib.hr_error(self._handle).decode()}")

    def read(self, address):
        """Read a register, which takes some cycles."""
        value = _U32()
        self._check(self._lib.hr_read(self._powered(), address, ctypes.byref(value)))
        return value.value

    def write(self, address, value):
        """Write a register, which takes some cycles."""
        self._check(self._lib.hr_write(self._powered(), address, int(value)))

    def run(self):
        """Simulate until the program ends or stops, or for a fraction of a second."""
        start = time.perf_counter()
        result = self._lib.hr_run(self._powered(), self._slice)
        self._check(result >= 0)
        if result == 0:
            # As many cycles as fit in a slice of time, approached from below.
            speed = self._slice / max(time.perf_counter() - start, 1e-6)
            self._slice = int(min(max(speed * SLICE_SECONDS, 1000), 4 * self._slice))

    @property
    def cycles(self):
        """Cycles since power-up."""
        return self._lib.hr_cycles(self._powered())

    def statistics(self):
        """Counts of the memory bus and the DRAM since power-up, by name.

        Those of the DRAM are of its clocks, see `dram.hpp`: in `dram_idle` nobody asked for
        anything, in `dram_refreshing` to `dram_spacing` the next transfer waited. An ideal memory
        has a clock a beat.
        """
        values = (_U64 * len(_STATISTICS))()
        self._lib.hr_statistics(self._powered(), values)
        return dict(zip(_STATISTICS, values))

    def transitions(self):
        """Recorded activity: an array of pairs of a cycle, and the activity from there on."""
        return self._rows(self._lib.hr_transitions, 2)

    def takings(self):
        """Recorded instructions that left a queue: an array of pairs of a cycle, and the unit."""
        return self._rows(self._lib.hr_takings, 2)

    def nodes(self):
        """Spans of the nodes that units were at in the steps so far, see
        :func:`~sim.fpga.nodes.node_spans`."""
        return node_spans(
            self.image,
            self.config,
            self._steps,
            self.takings(),
            self.transitions(),
            self.cycles,
        )

    def traffic(self):
        """Recorded traffic: an array of rows of a cycle, and the beats so far of weights, of the
        KV cache, of loads and of programs, and written.
        """
        return self._rows(self._lib.hr_traffic, 6)

    def _rows(self, get, width):
        pointer = _POINTER()
        count = get(self._powered(), ctypes.byref(pointer))
        if not count:
            return np.zeros((0, width), np.uint64)
        array = ctypes.cast(pointer, ctypes.POINTER(_U64))
        return np.ctypeslib.as_array(array, (count, width)).copy()

    def peaks(self):
        """The most that each counter of :func:`sim.fpga.state.counters` held since power-up, by
        name.
        """
        pointer = _POINTER()
        count = self._lib.hr_peaks(self._powered(), ctypes.byref(pointer))
        values = ctypes.cast(pointer, ctypes.POINTER(_U32))[:count]
        return dict(zip(state.counters(self.config), values))

    def array(self, name):
        """A memory of :func:`sim.fpga.state.arrays` as it is now: uint32, a row for each entry."""
        pointer, entries = _POINTER(), _U64()
        size = self._lib.hr_array(
            self._powered(), name.encode(), ctypes.byref(pointer), ctypes.byref(entries)
        )
        if not size:
            raise DeviceError(f"{self.name}: the library shows no memory {name!r}")
        return np.frombuffer(ctypes.string_at(pointer, size), np.uint32).reshape(entries.value, -1)

    def vector(self):
        """The vector memory as it is now: float32."""
        return self.array("vector").reshape(-1).view(np.float32)
