"""Tag of a beat of the KV cache, which follows it through the pipelines."""

from amaranth.lib import data


__all__ = ["Tag"]


def Tag(config):
    """What a beat is; nothing when it is neither of keys nor of values."""
    return data.StructLayout(
        {
            "key": 1,
            "value": 1,
            "chunk": range(config.head_dim // config.beat_bytes),  # of the position's elements
            "start": 1,  # first chunk of a position
            "end": 1,  # last chunk of a position
            "open": 1,  # first position of a block
            "close": 1,  # last position of a block
            "first": 1,  # first block of a head
            "last": 1,  # last block of a head
        }
    )
