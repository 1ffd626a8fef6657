"""Constants of the packing and of memory: what formats, configurations and machines share."""

__all__ = ["GROUP", "KV_BLOCK", "UNIT_BYTES", "LANE_BYTES", "ACC_BITS", "TILES"]


GROUP = 32       # Weights and activations share a scale in groups of this many elements along K.
KV_BLOCK = 32    # Positions per block of the KV cache; softmax maxima advance block by block.
UNIT_BYTES = 64  # DRAM addresses and sizes in instructions count these, whatever the beat is.
LANE_BYTES = 16  # Of a beat: what packing is defined in. A group of a row in 4 bits fills it.
TILES = 4        # Slices of N rows per block: a beat of fp32 row scales.
ACC_BITS = 52    # Of the linear core's accumulators.
