"""Self-checking testbench of a linear core, in SystemVerilog."""

from ..spec.formats import FORMATS, SPARSE
from ..spec.formats.nibbles import HIGH, NIBBLE, CodeBook, SixBits
from ..spec.isa import WeightFormat
from ..spec.sparse_modes import INDEX_BITS, SLOTS


__all__ = ["testbench"]


TEXT = """\
// Random steps for {name}, with gaps and stalls, and the sums that they must give. To
// run verilator --binary -Wno-fatal testbench.sv {name}.v && obj_dir/Vtestbench

module testbench;
    localparam int N = {rows};        // lanes: 128 bits of the codes each
    localparam int M = {columns};        // columns: activation vectors
    localparam int R = {lanes};        // rows of a payload of sums
    localparam int STEPS = 1000;

    logic clk = 0, rst = 1;
{signals}

    {name} core (
{connections}
    );

    always #5 clk = ~clk;

    // The step on offer: its rows, how many weights a row has, weight k of row r, and the activation
    // that this is multiplied with.
{functions}

    // Of a row, or, behind the step's rows, of the upper half of one.
    function automatic int sum(int c, int n);
        int r = n % rows();
        sum = 0;
        for (int k = n < rows() ? 0 : 16; k < weights_of_row(); k++)
            sum += weight(r, k) * $signed(acts_values[256 * c + 8 * element(r, k) +: 8]);
    endfunction

    int seed = 1, given = 0, payloads = 0;
    int expected[$], counts[$];   // sums, by payload, row and column; rows of each payload
    logic taken = 0;

    function automatic int random(int below);
        return int'($unsigned($random(seed)) % below);
    endfunction

    task draw_step;
        case (random({count}))
{kinds}
        endcase
        for (int n = 0; n < 4 * N; n++) weights_codes[32 * n +: 32] = $random(seed);
{high}        for (int n = 0; n < 8 * M; n++) acts_values[32 * n +: 32] = $random(seed);
        // Now and then the ends of the range.
        if (random(8) == 0) weights_codes = random(2) == 0 ? '0 : '1;
        if (random(8) == 0) acts_values = {{(32 * M){{random(2) == 0 ? 8'h80 : 8'h7f}}}};
{special}    endtask

    // What is on offer stays until it is taken.
    always @(negedge clk) if (!rst) begin
        if (taken) {{weights_valid, acts_valid, taken}} = 0;
        if (!weights_valid && given < STEPS && random(4) != 0) begin
            draw_step();
            weights_valid = 1;
        end
        if (weights_valid && !acts_valid) acts_valid = random(4) != 0;
        sums_ready = random(4) != 0;
    end

    always @(posedge clk) if (!rst) begin
        if (weights_valid && weights_ready) begin
            for (int first = 0; first < sums(); first += R) begin
                counts.push_back(sums() - first < R ? sums() - first : R);
                for (int r = first; r < first + R && r < sums(); r++)
                    for (int c = 0; c < M; c++) expected.push_back(sum(c, r));
            end
            given = given + 1;
            taken = 1;
        end
        if (sums_valid && sums_ready) begin
            int count, want, got;
            if (counts.size() == 0) $fatal(1, "FAIL: sums that no step gives");
            count = counts.pop_front();
            for (int r = 0; r < count; r++)
                for (int c = 0; c < M; c++) begin
                    want = expected.pop_front();
                    got = int'($signed(sums_values[20 * (R * c + r) +: 20]));
                    if (got != want)
                        $fatal(1, "FAIL: payload %0d, row %0d, column %0d: must be %0d, not %0d",
                               payloads, r, c, want, got);
                end
            payloads = payloads + 1;
        end
        if (given == STEPS && counts.size() == 0) begin
            $display("PASS: %0d steps, %0d payloads of sums", given, payloads);
            $finish;
        end
    end

    initial begin
        repeat (4) @(negedge clk);
        rst = 0;
        repeat (100 * STEPS) @(negedge clk);
        $fatal(1, "FAIL: %0d steps taken of %0d, %0d payloads missing", given, STEPS, counts.size());
    end
endmodule
"""


HIGH_DRAWN = """\
        for (int n = 0; n < 2 * N; n++) weights_high[32 * n +: 32] = $random(seed);
        if (random(8) == 0) weights_high = {(32 * N){random(2) == 0 ? 2'b10 : 2'b01}};
"""


def function(name, arguments, cases, default, selector="weights_format"):
    """A function that is a choice by format, or by another `selector`."""
    return [
        f"    function automatic int {name}({arguments});",
        f"        case ({selector})",
        *(f"            {number}: return {value};" for number, value in cases.items()),
        f"            default: return {default};",
        "        endcase",
        "    endfunction",
    ]


def functions(core):
    """Yield the lines of the functions that say what the step is."""
    dense = {fmt.value: core.layout(fmt) for fmt in core.formats if fmt not in SPARSE}
    sparse = {fmt.value: FORMATS[fmt].code_bits for fmt in core.formats if fmt in SPARSE}
    if sparse:
        modes = {mode.value: SLOTS[mode] for mode in core.modes}
        yield from function("slots", "", modes, 0, "weights_mode")
    yield from function(
        "rows",
        "",
        {
            **{n: f"{layout.rows} * N" for n, layout in dense.items()},
            **{n: f"{128 // bits} / slots() * N" for n, bits in sparse.items()},
        },
        0,
    )
    halved = {fmt.value: "2 * rows()" for fmt in core.formats if core.halved(fmt)}
    yield from function("sums", "", halved, "rows()")
    yield from function(
        "weights_of_row",
        "",
        {n: layout.elements for n, layout in dense.items()},
        "slots()" if sparse else 0,
    )
    place = "128 * (r % N) + {0} * (slots() * (r / N) + k) +: {0}"
    codes = {n: f"int'($signed(weights_codes[{place.format(bits)}]))" for n, bits in sparse.items()}
    yield from function(
        "code",
        "int r, int k",
        {
            **{n: prefixed(layout.code) for n, layout in dense.items()},
            **codes,
        },
        0,
    )
    yield from function(
        "weight",
        "int r, int k",
        {n: layout.weight.replace("q", "code(r, k)") for n, layout in dense.items()},
        "code(r, k)",
    )
    if sparse:
        yield from function(
            "index",
            "int r, int k",
            {
                mode.value: f"int'(weights_index[{place.format(INDEX_BITS[mode])}])"
                + (" + 4 * (k / 2)" if INDEX_BITS[mode] == 2 else "")
                for mode in core.modes
                if INDEX_BITS[mode]
            },
            "k",
            "weights_mode",
        )
    yield from function("element", "int r, int k", dict.fromkeys(sparse, "index(r, k)"), "k")


def prefixed(code):
    """A format's code, of the ports."""
    return code.replace("codes[", "weights_codes[").replace("high[", "weights_high[")


BOOK = """\
        if (weights_format == {number}) begin
            int book[16];
            book = '{{{integers}}};
            for (int r = 0; r < N; r++) for (int k = 0; k < 32; k++)
                {{{high}, {nibble}}} = 6'(book[random(16)]);
        end"""


def special(core):
    """Yield the lines that make a random step a legal one."""
    if WeightFormat.TERNARY in core.formats:
        yield f"        if (weights_format == {WeightFormat.TERNARY.value})"
        if WeightFormat.TERNARY in core.core.native:
            yield "            for (int n = 0; n < 2 * N; n++)"
            yield "                weights_codes[64 * n + 32 +: 32] &= weights_codes[64 * n +: 32];"
        else:
            yield (
                "            for (int n = 0; n < 32 * N; n++) weights_codes[4 * n +: 4] = "
                "4'(random(3) - 1);"
            )
    for its in (FORMATS[fmt] for fmt in core.formats):
        if isinstance(its, SixBits) and isinstance(its, CodeBook):
            yield BOOK.format(
                number=its.fmt.value,
                integers=", ".join(map(str, its.book)),
                high=prefixed(HIGH),
                nibble=prefixed(NIBBLE),
            )
    if any(fmt in SPARSE for fmt in core.formats):
        yield "        for (int n = 0; n < 4 * N; n++) weights_index[32 * n +: 32] = $random(seed);"


def testbench(core):
    """Text of a testbench for a :class:`~.standalone.Standalone`."""
    inputs = {port.name for port in core.ports if not port.output}
    kinds = []
    for n, (fmt, mode) in enumerate(core.kinds()):
        mode = f" weights_mode = {mode.value};" if fmt in SPARSE else ""
        kinds.append(f"            {n}: begin weights_format = {fmt.value};{mode} end")
    return TEXT.format(
        name=core.name,
        rows=core.config.rows,
        columns=core.config.columns,
        lanes=core.core.lanes,
        signals="\n".join(
            f"    logic {port.range + ' ' if port.range else ''}{port.name}"
            f"{' = 0' if port.name in inputs else ''};"
            for port in core.ports
        ),
        connections=",\n".join(
            f"        .{name}({name})"
            for name in ["clk", "rst", *(port.name for port in core.ports)]
        ),
        functions="\n".join(functions(core)),
        count=len(kinds),
        kinds="\n".join(kinds),
        high=HIGH_DRAWN if "weights_high" in inputs else "",
        special="".join(f"{line}\n" for line in special(core)),
    )
