"""The parts of the smallest machine that runs the tiny ternary model."""

from rtl.attention.unit import AttentionUnit
from rtl.spec.config import Config
from rtl.control.control import Control
from rtl.control.fetch import Fetch
from rtl.control.queue import UnitQueue
from rtl.control.sequencer import Sequencer
from rtl.control.tokens import TokenCounters
from rtl.cores import create
from rtl.spec.isa import Unit
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
from rtl.vector.memory import VectorMemory
from rtl.vector.unit import VectorUnit


__all__ = ["smallest", "link", "PARTS", "TIMES", "WITHIN"]


def smallest(core="lut"):
    """The smallest configuration that the tiny model compiles for, with a linear core."""
    return Config(name=f"smallest-{core}", beat_bits=128, columns=1, lanes=2, queries=1, head_dim=64,
                  vector_words=4096, act_groups=32, program_words=512, prefetch_beats=16, core=core,
                  formats=("S8", "TERNARY"), patterns=())


def link(config, divisor=24):
    """The board's side of the serial line, for memory of 8 MiB."""
    return UartLink(config, divisor=divisor, board=1, units=1 << 17)


# What makes each, in the order of the instructions' way.
PARTS = {
    "link": link,
    "control, registers": lambda config: Control(config, faults=3),
    "fetch": Fetch,
    "sequencer": Sequencer,
    "tokens": lambda config: TokenCounters(len(Unit)),
    "queue, one of five": lambda config: UnitQueue(8),
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
TIMES = {"queue, one of five": 5}
# What is counted in a later row already.
WITHIN = {"linear core": "linear pipeline"}
