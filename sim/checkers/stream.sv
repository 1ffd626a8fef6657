// Stream: what is offered stays, unless it `may_fall`, and stays the same, until it is taken.
module stream_checker #(parameter int WIDTH = 1) (
    input clk, rst, valid, ready, may_fall,
    input [WIDTH-1:0] payload,
    input [15:0] number
);
    import checks::*;

    logic waits = 0;
    logic [WIDTH-1:0] offered = 0;

    always @(posedge clk) begin
        if (waits && !rst) begin
            if (!valid && !may_fall) report(number, WITHDRAWN);
            else if (valid && payload != offered) report(number, CHANGED);
        end
        waits <= valid && !ready && !rst && !off;
        if (valid) offered <= payload;
    end
endmodule
