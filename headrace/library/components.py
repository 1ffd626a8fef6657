"""Components of the accelerator by name: what each machine is made of, to be measured alone."""

from collections.abc import Callable

from amaranth.hdl import Elaboratable

from rtl.attention.output import AttentionOutput
from rtl.attention.unit import AttentionUnit
from rtl.control.control import Control
from rtl.control.fetch import Fetch
from rtl.control.queue import UnitQueue
from rtl.control.sequencer import Sequencer
from rtl.control.store import InstructionStore
from rtl.control.tokens import TokenCounters
from rtl.cores import create
from rtl.fp.add import FpAdd
from rtl.fp.from_int import IntToFp
from rtl.fp.mul import FpMul
from rtl.linear.best import BestLogits
from rtl.linear.combine import Combiner
from rtl.linear.embed import Embedder
from rtl.linear.pipeline import LinearPipeline
from rtl.linear.row_scale import RowScaler
from rtl.link.link import UartLink
from rtl.memory.load import LoadUnit
from rtl.memory.reader import MemoryReader
from rtl.memory.stream import StreamUnit
from rtl.memory.writer import MemoryWriter
from rtl.spec.config import Config
from rtl.spec.isa import Unit
from rtl.top import QUEUE_DEPTHS, Accelerator
from rtl.vector.lane import Lane
from rtl.vector.memory import VectorMemory
from rtl.vector.quantizer import Quantizer
from rtl.vector.unit import VectorUnit


__all__ = ["COMPONENTS", "PARTS", "WHOLE", "link"]


def link(config, divisor=24):
    """The board's side of the serial line, for memory of 8 MiB."""
    return UartLink(config, divisor=divisor, board=1, units=1 << 17)


# What makes each, in the order of the instructions' way.
PARTS = {
    "link": link,
    "control, registers": lambda config: Control(config, faults=4),
    "fetch": Fetch,
    "sequencer": Sequencer,
    "tokens": lambda config: TokenCounters(len(Unit)),
    "instruction store": lambda config: InstructionStore(QUEUE_DEPTHS.values()),
    "queue, one of five": lambda config: UnitQueue(),
    "memory reader": lambda config: MemoryReader(config, [16, 16, 16, 16]),
    "memory writer": MemoryWriter,
    "stream": lambda config: StreamUnit(),
    "load": LoadUnit,
    "vector memory": lambda config: VectorMemory(config, writers=4),
    "vector unit": VectorUnit,
    "attention": AttentionUnit,
    "linear core": create,
    "linear pipeline": LinearPipeline,
    "embedder": Embedder,
    "row scaler": RowScaler,
    "combiner": Combiner,
    "best logits": lambda config: BestLogits(),
}
WHOLE = "whole"
# The machine's parts, and what the vector unit and others are made of.
COMPONENTS: dict[str, Callable[[Config], Elaboratable]] = {
    "multiplier": lambda config: FpMul(),
    "adder": lambda config: FpAdd(),
    "lane": lambda config: Lane(),
    "conversion": lambda config: IntToFp(40),
    "quantizer": Quantizer,
    "attention output": AttentionOutput,
    **PARTS,
    WHOLE: Accelerator,
}
