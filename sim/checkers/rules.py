"""Rules of the checkers, by number."""

import json


__all__ = ["PLACES", "RULES", "describe", "header", "package"]


PLACES = "places.json"  # file in which a build keeps the names of its checkers' places
RULES = {
    "WITHDRAWN": "valid fell before ready",
    "CHANGED": "the payload changed before ready",
    "CROSSES": "a burst crosses 4 KB",
    "SIZE": "a burst is not of whole beats: its size, its address or its kind",
    "WIDE": "a burst's beats are wider than the bus",
    "LAST": "last is not at the last beat of a burst",
    "UNASKED": "a response that nothing has asked for",
    "TOO_MANY": "more is outstanding than may be",
    "IDLE": "low although what it announces is under way",
}


def describe(violation, places):
    """One line about a `violation` that the design's port shows; `places` are those of
    :class:`Checked`.
    """
    number, rule = divmod(violation, 256)
    return f"{places[number]}: {list(RULES.values())[rule - 1]}"


def header(places):
    """C++ of the same words: `PLACES`, and `RULES` from 1 on, for a simulation that is not
    Python's.
    """

    def strings(name, values):
        return (
            f"static const char *const {name}[] = {{\n"
            + "".join(f"    {json.dumps(value)},\n" for value in values)
            + "};\n"
        )

    return strings("PLACES", places) + strings("RULES", ["", *RULES.values()])


def package():
    """SystemVerilog package `checks`: the rules' numbers, and the first violation."""
    numbers = "".join(f"    localparam int {name} = {n};\n" for n, name in enumerate(RULES, 1))
    return f"""\
package checks;
{numbers}
    logic off = 1;                      // nothing is checked
    int unsigned violation = 0;         // the first one: 256 * number of the checker + rule

    function automatic void report(int unsigned number, int rule);
        if (!off && violation == 0) violation = 256 * number + rule;
    endfunction
endpackage
"""
