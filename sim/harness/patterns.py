"""fp32 patterns for tests: corner cases and random values."""

import numpy as np


__all__ = ["EDGES", "pattern", "floats", "patterns", "is_finite"]


# Every class of exponents with its first, second and last fraction: zero and subnormals, least and
# largest normals, the exponent field 255.
CLASSES = [
    exponent << 23 | fraction for exponent in (0, 1, 254, 255) for fraction in (0, 1, 0x7FFFFF)
]

EDGES = [
    pattern | sign
    for sign in (0, 0x80000000)
    for pattern in (
        *CLASSES,
        0x00400000,
        0x01000000,
        0x0C800000,
        0x20000000,
        0x1FB504F3,  # products near the least normal
        0x33800000,
        0x33FFFFFF,
        0x34000000,  # halves and ulps of 1
        0x3F000000,
        0x3F7FFFFF,
        0x3F800000,
        0x3F800001,
        0x3FFFFFFF,
        0x40000000,
        0x4B000000,
        0x4B7FFFFF,
        0x4B800000,  # 2**23, 2**24
        0x4B3FFF80,
        0x4B4001FF,
        0x4B400200,  # MAGIC + n, with n at its limits
        0x5F3504F3,
        0x5F800000,  # products near 2**128
        0x72FFFFFF,
        0x73000000,
        0x73000001,  # half an ulp of the largest
        0x7E7311C7,
        0x7E7311C8,
        0x7E800000,
        0x7FC00000,
    )
]  # where RECIP ends


def pattern(random, exponents=range(256)):
    """A random fp32 pattern, often with few ones or few zeros in its fraction."""
    fraction = random.choice(
        [
            random.getrandbits(23),
            random.getrandbits(3),
            0x7FFFFF ^ random.getrandbits(3),
            1 << random.randrange(23),
            random.getrandbits(12) << 11,
        ]
    )
    return random.getrandbits(1) << 31 | random.choice(exponents) << 23 | fraction


def floats(values):
    """float32 array of fp32 patterns."""
    return np.array(values, np.uint32).view(np.float32)


def patterns(values):
    """fp32 patterns, a list, of a float32 array."""
    return np.asarray(values, np.float32).view(np.uint32).tolist()


def is_finite(bits):
    """Whether a pattern's exponent field is not 255, as the machine promises of all it writes."""
    return bits >> 23 & 0xFF != 0xFF
