"""The parts of the smallest machine that runs the tiny ternary model."""

from rtl.spec.config import Config

from ...library.components import PARTS, link


__all__ = ["smallest", "link", "PARTS", "TIMES", "WITHIN"]


def smallest(core="lut"):
    """The smallest configuration that the tiny model compiles for, with a linear core."""
    return Config(
        name=f"smallest-{core}",
        beat_bits=128,
        columns=1,
        lanes=2,
        queries=1,
        head_dim=64,
        vector_words=4096,
        act_groups=32,
        program_words=512,
        prefetch_beats=16,
        core=core,
        formats=("S8", "TERNARY"),
        patterns=(),
    )


TIMES = {"queue, one of five": 5}
# What is counted in a later row already.
WITHIN = {"linear core": "linear pipeline"}
