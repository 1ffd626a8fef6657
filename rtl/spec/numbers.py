"""Constants of packing, memory and numbers: what formats, configurations and machines share."""

__all__ = [
    "GROUP",
    "KV_BLOCK",
    "UNIT_BYTES",
    "UNIT_WORDS",
    "LANE_BYTES",
    "TILES",
    "WINDOW",
    "FRACTION",
    "SCORE_BITS",
]


# Memory.
GROUP = 32  # Weights and activations share a scale in groups of this many elements along K.
KV_BLOCK = 32  # Positions per block of the KV cache; softmax maxima advance block by block.
UNIT_BYTES = 64  # DRAM addresses and sizes in instructions count these, whatever the beat is.
UNIT_WORDS = UNIT_BYTES // 4  # fp32 words of a unit.
LANE_BYTES = 16  # Of a beat: what packing is defined in. A group of a row in 4 bits fills it.
TILES = 4  # Slices of N rows per block: a beat of fp32 row scales.

# Products: see `linear` of `sw_ref/numerics.py`, and `ACC_BITS` of `limits.py`.
WINDOW = 15  # Groups of activations more than 2**-WINDOW below the largest contribute nothing.

# Attention: see `sw_ref/attention.py`.
FRACTION = 10  # Fraction bits of a score, in the log2 domain.
SCORE_BITS = 24  # Of a score, sign included.
