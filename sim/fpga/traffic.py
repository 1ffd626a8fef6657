"""Bandwidth over time, of the beats that the harness counts."""

import numpy as np


__all__ = ["CLIENTS", "bandwidth"]


CLIENTS = ("weights", "KV cache", "loads", "program", "writes")
MOST = 4096  # points of a track


def bandwidth(traffic, config):
    """Yield (cycle, bytes per second of each of `CLIENTS`), each from that cycle to the next.

    Parameters
    ----------
    traffic : uint64 array
        Of :meth:`sim.fpga.device.SimDevice.traffic`.
    config : :class:`~rtl.spec.config.Config`
    """
    step = max(1, len(traffic) // MOST)
    rows = traffic[::step].astype(np.int64)
    factor = config.beat_bytes * config.clock_mhz * 1e6
    for row, following in zip(rows, rows[1:]):
        cycles, *beats = following - row
        rates = (float(count) * factor / float(cycles) for count in beats)
        yield int(row[0]), dict(zip(CLIENTS, rates))
