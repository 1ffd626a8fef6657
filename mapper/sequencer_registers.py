"""Registers of the sequencer, by what the mapper's programs keep in them."""

__all__ = [
    "COLUMN",
    "COLUMN_WORDS",
    "GAINS",
    "KV_BLOCK_AT",
    "KV_LAYER",
    "LAST_COLUMN",
    "POSITION",
    "TEMP",
]


POSITION, KV_BLOCK_AT, COLUMN, COLUMN_WORDS, GAINS, KV_LAYER, TEMP = range(1, 8)
# After a loop over the columns COLUMN is their number; added to -1, in four bits, the last one's.
LAST_COLUMN = {"column": 15, "column_reg": COLUMN}
