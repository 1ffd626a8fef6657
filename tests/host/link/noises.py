"""Noises of a line that the host's side of the link is tried with."""

__all__ = ["NOISES"]


NOISES = {
    "clean": {},
    "corrupt": {"corrupt": 0.01},
    "drop": {"drop": 0.01},
    "double": {"double": 0.01},
    "insert": {"insert": 0.01},
    "all": {"corrupt": 0.003, "drop": 0.003, "double": 0.003, "insert": 0.003},
    "bad": {"corrupt": 0.03},
}
