// `busy`: high while something is on its way, and for `SETTLE` cycles after.
module busy_checker #(parameter int WIDTH = 1, SETTLE = 0) (
    input clk, rst, busy,
    input [WIDTH-1:0] under_way,
    input [15:0] number
);
    import checks::*;

    int left;   // cycles in which it must be high yet

    always @(posedge clk) if (rst || off) left <= 0;
    else begin
        if ((under_way != 0 || left != 0) && !busy) report(number, IDLE);
        left <= under_way != 0 ? SETTLE : left == 0 ? 0 : left - 1;
    end
endmodule
