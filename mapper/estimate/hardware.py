"""What the estimate takes from components: their latencies and depths, and no number of its own.

Where a component has an attribute, that is taken. Cycles between the states of its machine are
literals: they stand in the component's docstring, and a wrong one is seen beside RTL.
"""

from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

from amaranth.hdl import Elaboratable

from rtl import top
from rtl.attention.accumulate import CAPTURE, words_at_once
from rtl.attention.fold import Fold
from rtl.attention.products import ProductArray, sum_latency
from rtl.attention.reorder import ReorderBuffer
from rtl.attention.unit import PHASES_AHEAD
from rtl.attention.window import WindowStart
from rtl.fp.from_int import IntToFp
from rtl.linear.best import BestLogits
from rtl.linear.pipeline import LinearPipeline
from rtl.linear.row_scale import RowScaler
from rtl.linear.slices import payload_slices
from rtl.spec.config import KV_BLOCK, Config
from rtl.vector.lane import Lane
from rtl.vector.quantizer import Quantizer
from rtl.vector.reduce import Reduce
from rtl.vector.unit import VectorUnit


__all__ = ["Hardware", "hardware"]


# A namespace, so that a test can change a number.
Hardware = SimpleNamespace


def hardware(config: Config) -> Any:
    """Latencies in cycles and depths of a configuration's components, by name."""
    return SimpleNamespace(**_found(config))


@lru_cache(maxsize=32)
def _found(config: Config) -> dict:
    pipeline, quantizer, reduce = LinearPipeline(config), Quantizer(config), Reduce(config.lanes)
    for component in (pipeline, quantizer, reduce):
        _use(component)
    return _of_components(config, pipeline, quantizer, reduce)


def _use(component: Any) -> None:
    """Tell Amaranth that a component, and those in it, are asked, and need not be built."""
    component._MustUse__used = True
    for part in vars(component).values():
        if isinstance(part, Elaboratable):
            _use(part)


def _of_components(config: Config, pipeline, quantizer, reduce) -> dict:
    core, chunks = pipeline.core, config.head_dim // config.beat_bytes
    return {
        # MemoryReader, Bursts
        "depths": top.reader_depths(config),
        "request": 5,
        "burst": 3,
        "counted": 2,
        "deliver": 3,
        # MemoryWriter
        "write_line": config.unit_beats + 3,
        "write_start": 3,
        "write_answer": 8,  # of the simulated memory
        # Sequencer, UnitQueue, TokenCounters
        "dispatch": 4,
        "loop": 7,
        "token": 6,
        "scalar": 11,
        "start": 4,
        "halt": 6,
        "queue_depths": {unit.value: depth for unit, depth in top.QUEUE_DEPTHS.items()},
        "queue": 3,
        "next_insn": 3,
        "sync": 1,
        "given": 2,
        # VectorUnit
        "result": 2 + Lane.LATENCY,
        "visible": 2,
        "dot": 5 + reduce.latency,
        "slots": reduce.slots,
        "share": VectorUnit.SHARE,
        "quantizer": quantizer.latency,
        # LinearUnit
        "pipeline": pipeline.latency,
        "sums_held": pipeline.scaler.held,
        "logits_held": BestLogits.DEPTH,
        "row_scale": RowScaler.LATENCY,
        "front_drain": 3,
        "place": 7,
        "written": 3,
        "embed": 2,
        # LoadUnit
        "load": 3,
        "parts": config.parts,
        "steps_ahead": 2,  # one is expanded, or with the core, one waits in the skid buffer
        "passes": core.passes,
        "native": core.native,
        "payload": partial(payload_slices, native=core.native),
        # AttentionUnit
        "scores": 1 + sum_latency(config) + 4,
        "softmax": 5,
        "words": words_at_once(config),
        # Where positions have several chunks, beats wait in a ring for their turn.
        "ring": 2 * KV_BLOCK * chunks - ReorderBuffer.MARGIN if chunks > 1 else 0,
        "capture": CAPTURE,
        "kept": 1 + ProductArray.LATENCY + 1,
        "phases_ahead": PHASES_AHEAD,
        "sequence": 2,
        "output": Fold.LATENCY + IntToFp.LATENCY + 2,
        "window": WindowStart.LATENCY + 1,
    }
