"""What the estimate takes from components: their latencies and depths, and no number of its own."""

import warnings
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import UnusedElaboratable

from rtl import top
from rtl.attention.output import AttentionOutput
from rtl.attention.products import sum_latency
from rtl.attention.unit import PHASES_AHEAD
from rtl.attention.window import WindowStart
from rtl.cores import create
from rtl.linear.pipeline import LinearPipeline
from rtl.linear.row_scale import RowScaler
from rtl.spec.config import Config
from rtl.vector.lane import Lane
from rtl.vector.quantizer import Quantizer
from rtl.vector.reduce import PARTIAL_SUMS, Reduce


__all__ = ["Hardware", "hardware"]


# A namespace, so that a test can change a number.
Hardware = SimpleNamespace


def hardware(config: Config) -> Any:
    """Latencies in cycles and depths of a configuration's components, by name."""
    return SimpleNamespace(**_found(config))


@lru_cache(maxsize=32)
def _found(config: Config) -> dict:
    with warnings.catch_warnings():
        # They are asked, not built.
        warnings.simplefilter("ignore", UnusedElaboratable)
        return _of_components(config)


def _of_components(config: Config) -> dict:
    pipeline, quantizer = LinearPipeline(config), Quantizer(config)
    core = create(config)
    return {
        # MemoryReader, Bursts
        "depths": top.reader_depths(config),
        "request": 4,
        "split": 2,
        "grant": 3,
        "deliver": 3,
        # MemoryWriter
        "write_line": config.unit_beats + 3,
        "write_start": 3,
        "write_answer": 8,  # of the simulated memory
        # Sequencer, UnitQueue, TokenCounters
        "dispatch": 4,
        "loop": 7,
        "skip": 7,
        "token": 6,
        "scalar": 11,
        "start": 4,
        "halt": 6,
        "queue_depths": {unit.value: depth for unit, depth in top.QUEUE_DEPTHS.items()},
        "queue": 3,
        "next_insn": 3,
        "sync": 1,
        "after_sync": 2,
        "given": 2,
        # VectorUnit
        "first_result": 4 + Lane.LATENCY,
        "last_result": 3 + Lane.LATENCY,
        "dot": 5 + Reduce(config.lanes).latency,
        "slots": PARTIAL_SUMS // config.lanes,
        "quantizer": quantizer.latency,
        # LinearUnit
        "pipeline": pipeline.latency,
        "tiles_held": pipeline.scaler.held,
        "row_scale": RowScaler.LATENCY,
        "front_drain": 3,
        "place": 7,
        "written": 3,
        "embed": 2,
        # LoadUnit
        "load": 3,
        "passes": core.passes,
        "native": core.native,
        # AttentionUnit
        "scores": 1 + sum_latency(config) + 4,
        "softmax": 5,
        "rescale": 3,
        "accumulate": 3,
        "phases_ahead": PHASES_AHEAD,
        "sequence": 2,
        "output": AttentionOutput.LATENCY,
        "window": WindowStart.LATENCY + 1,
    }
