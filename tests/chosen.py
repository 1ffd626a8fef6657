"""Cases of tests that take long: some of them always, the others where they are asked for.

``HEADRACE_FAMILIES=1`` asks for all of them, ``-k NAME`` and ``FILE::TEST[NAME]`` for those of a
name.
"""

import os
import re

import pytest


__all__ = ["ALL", "cases", "is_left_out"]


ALL = bool(os.environ.get("HEADRACE_FAMILIES"))


def cases(them, always):
    """The parameters of a test.

    Parameters
    ----------
    them : iterable of :class:`str` or tuple
        A name each, or several parameters, of which a name is the first.
    always : collection of :class:`str`
        Names that are always run.
    """
    tuples = [(case,) if isinstance(case, str) else case for case in them]
    return [
        pytest.param(*case, marks=() if case[0] in always else pytest.mark.asked(case[0]))
        for case in tuples
    ]


def is_left_out(item):
    """Whether a test is of a name that nobody asked for."""
    mark, config = item.get_closest_marker("asked"), item.config
    if ALL or mark is None:
        return False
    parts = (config.option.keyword, *re.findall(r"\[.*\]", " ".join(config.args)))
    return not any(mark.args[0] in part for part in parts)
