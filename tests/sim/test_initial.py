"""Initial values: what is taken out of Verilog, and that simulations differ by what they begin
with.
"""

import pytest
from amaranth.hdl import Fragment, MemoryInstance

from sim.harness import build as bench_build, runner
from sim.harness.initial import without_initial


MODULE = r"""
module some(clk, q);
  reg \$auto$verilog_backend.cc:2355:dump_module$1  = 0;
  reg [7:0] count = 8'h05;
  output q;
  reg q = 1'h1;
  reg \with.dot  = 1'h0;
  wire [3:0] sum = 4'h3;
  reg [7:0] table_ [1:0];
  initial begin
    table_[0] = 8'h01;
    table_[1] = 8'h02;
  end
  reg [7:0] storage [1:0];
  initial begin
    storage[0] = 8'h00;
    storage[1] = 8'h00;
  end
  always @(posedge clk) begin
    if (q)
      storage[count] <= sum;
  end
endmodule
module other(clk);
  reg [7:0] storage [0:0];
  initial begin
    storage[0] = 8'h07;
  end
endmodule
"""


def test_registers_and_written_memories_lose_their_values():
    got = without_initial(MODULE)
    lost = [
        "count = 8'h05",
        "q = 1'h1",
        "with.dot  = 1'h0",
        "storage[0] = 8'h00",
        "storage[1] = 8'h00",
    ]
    kept = [
        "dump_module$1  = 0",
        "sum = 4'h3",
        "table_[0] = 8'h01",
        "table_[1] = 8'h02",
        "storage[0] = 8'h07",
    ]
    assert all(text in MODULE for text in lost + kept)
    assert not [text for text in lost if text in got] and not [
        text for text in kept if text not in got
    ]
    assert got.count("initial begin") == got.count("  end\n") - 1 == 2


def began(seed):
    built = bench_build.build("harness", "store")
    (built.folder / "began.txt").unlink(missing_ok=True)
    assert runner.simulate(built, seed=seed, only="begins") > 0
    return (built.folder / "began.txt").read_text().split()


@pytest.mark.seconds(5)
def test_the_seed_decides_what_a_simulation_begins_with():
    first, second = began(1), began(2)
    assert began(1) == first
    # A register with a reset, one without, and a word of a memory: all three differ.
    assert all(a != b for a, b in zip(first, second, strict=True))


@pytest.mark.seconds(5)
@pytest.mark.parametrize(
    "how, limits, message",
    [
        ("cycles", {"cycles": 2000}, "1 of 1 tests failed: hangs: has not ended after 2000 cycles"),
        ("loop", {"seconds": 6}, "the simulation has not ended after 6 seconds"),
    ],
)
def test_what_hangs_is_ended(how, limits, message):
    built = bench_build.build("harness", "store")
    with pytest.raises(bench_build.BenchError) as error:
        runner.simulate(built, seed=3, only=r"hangs$", plusargs=[f"+hang={how}"], **limits)
    assert str(error.value) == f"harness-store, seed 3: {message}"


# Registers without a reset that begin with something but zeros, as (class, name), and why that is
# no promise that anybody relies on: all benches pass when they begin with something else.
UNRESET = {
    (
        "LoadUnit",
        "words",
    ): "so that synthesis saturates through set inputs; looked at after a word came",
    ("FFSynchronizer", "stage0"): "a line that is high while nothing comes; right two cycles later",
    ("FFSynchronizer", "stage1"): "likewise",
}


def _fragments(fragment):
    yield fragment
    for inner, _, _ in fragment.subfragments:
        yield from _fragments(inner)


def unreset(component):
    """Yield (class, name) of what no reset brings to the value that it begins with, unless that is
    0.
    """
    for fragment in _fragments(Fragment.get(component, None)):
        kind = type(fragment.origins[0]).__name__ if fragment.origins else "?"
        for domain, statements in fragment.statements.items():
            for statement in statements if domain != "comb" else ():
                for signal in statement._lhs_signals():
                    if signal.reset_less and signal.init:
                        yield kind, signal.name
        if (
            isinstance(fragment, MemoryInstance)
            and fragment._write_ports
            and any(fragment._data.init)
        ):
            yield kind, "memory"


@pytest.mark.seconds(1)
def test_what_begins_with_a_value_and_has_no_reset():
    top, link = (
        bench_build.component(unit, case) for unit, case in (("top", "small"), ("link", "only"))
    )
    assert {*unreset(top), *unreset(link)} == set(UNRESET)
    assert list(unreset(bench_build.component("harness", "store"))) == [("Store", "last")]
