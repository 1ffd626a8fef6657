"""Configurations that random models run on: every parameter of the hardware has several values."""

from dataclasses import replace

from rtl.spec.config import ASKED_FOR, Config, get


__all__ = ["CONFIGS", "of_files"]


def of_files(core, size="small"):
    """A configuration of a core with the formats of files, none of those that it has anyway, and
    Gemma 2's cap of scores.
    """
    return replace(
        get(size),
        name=f"{size}-{core}-files",
        core=core,
        formats=("U4", "S8", *ASKED_FOR),
        score_cap=50.0,
    )


CONFIGS = {
    config.name: config
    for config in [
        get("small"),
        get("wide"),
        # A beat, columns and lanes of other sizes, and query heads that take several passes.
        Config(
            name="odd",
            beat_bits=256,
            columns=3,
            lanes=16,
            queries=2,
            vector_words=16384,
            act_groups=32,
            program_words=512,
            prefetch_beats=64,
            dram="ddr3-800-x16",
        ),
        # Few formats and one pattern, few activations, and the shallowest prefetch buffer.
        Config(
            name="models-narrow",
            beat_bits=128,
            columns=5,
            lanes=2,
            queries=6,
            vector_words=16384,
            act_groups=16,
            program_words=256,
            prefetch_beats=16,
            formats=("U4", "S8", "SPARSE4"),
            patterns=("2:16", "2:4"),
            dram="ideal",
        ),
        Config(
            name="models-lut",
            core="lut",
            beat_bits=128,
            columns=2,
            lanes=2,
            queries=1,
            head_dim=128,
            vector_words=16384,
            act_groups=16,
            program_words=512,
            prefetch_beats=32,
            dram="sdr-50-x16",
        ),
        Config(
            name="models-lut-wide",
            core="lut",
            beat_bits=256,
            columns=4,
            lanes=8,
            queries=4,
            vector_words=16384,
            act_groups=32,
            program_words=512,
            prefetch_beats=128,
            dram="ddr4-2400-x64",
        ),
        Config(
            name="models-dspchain",
            core="dspchain",
            beat_bits=128,
            columns=3,
            lanes=16,
            queries=2,
            vector_words=8192,
            act_groups=16,
            program_words=512,
            prefetch_beats=64,
            dram="ddr3-240-x16",
        ),
        Config(
            name="models-dspchain-wide",
            core="dspchain",
            beat_bits=256,
            columns=2,
            lanes=4,
            queries=3,
            head_dim=256,
            vector_words=16384,
            act_groups=32,
            program_words=512,
            prefetch_beats=256,
            dram="ddr3-800-x16",
        ),
    ]
}
