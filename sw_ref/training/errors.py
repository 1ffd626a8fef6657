"""Errors of training that a user can mend."""

__all__ = ["TrainingError"]


class TrainingError(Exception):
    """A file or an option is wrong. The message is one line: what was expected, what came, what to
    do.
    """
