"""Errors that a user can act on."""

__all__ = ["UserError"]


class UserError(Exception):
    """Something outside the program is wrong: a file, an option, an installation.

    The message is one line that names what was looked at, what was expected, what came, and what
    to do. The command line prints it without a traceback and exits with code 2.
    """
