"""Remove initial values from Verilog, so that a simulation begins with random ones."""

import re


__all__ = ["without_initial"]


def without_initial(verilog):
    """Verilog whose registers and memories begin with whatever the simulator chooses.

    What a module never writes, a table, keeps its contents.
    """
    return re.sub(
        r"^module .*?^endmodule$", lambda module: _module(module[0]), verilog, flags=re.M | re.S
    )


def _module(text):
    # Yosys gives such a register, which nothing drives, to blocks that would have no trigger.
    text = re.sub(
        r"^(  (?:output )?reg (?:\[\d+:0\] )?(?!\\\$auto\$)\S+ +)= \d+'[bdh]\w+;$",
        r"\1;",
        text,
        flags=re.M,
    )
    written = set(re.findall(r"^ +(\S+) ?\[.*<= ", text, flags=re.M))
    return re.sub(
        r"^  initial begin\n(?:    \S+ ?\[\d+\] = [^;]+;\n)+  end\n",
        lambda block: "" if re.match(r".*\n +(\S+?) ?\[", block[0])[1] in written else block[0],
        text,
        flags=re.M,
    )
