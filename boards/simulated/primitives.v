// What the bitstream takes from the ECP5's library, as far as the designs use it.
// Flip-flops in the pads are like any others; a PLL multiplies nothing.

// Its input's edges are what the simulation counts time in: four of them are one period of the output,
// whatever the frequencies are. The second output is late by so many quarters.
module EHXPLLL #(
    parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 8, CLKOS_DIV = 8, CLKOS2_DIV = 8, CLKOS3_DIV = 8,
    parameter CLKOP_CPHASE = 0, CLKOS_CPHASE = 0, CLKOS2_CPHASE = 0, CLKOS3_CPHASE = 0,
    parameter CLKOP_FPHASE = 0, CLKOS_FPHASE = 0, CLKOS2_FPHASE = 0, CLKOS3_FPHASE = 0,
    parameter CLKOP_ENABLE = "ENABLED", CLKOS_ENABLE = "DISABLED", CLKOS2_ENABLE = "DISABLED",
    parameter CLKOS3_ENABLE = "DISABLED", FEEDBK_PATH = "CLKOP"
) (
    input CLKI, CLKFB, RST, STDBY, PHASESEL0, PHASESEL1, PHASEDIR, PHASESTEP, PHASELOADREG,
    input PLLWAKESYNC, ENCLKOP, ENCLKOS,
    output reg CLKOP, CLKOS,
    output CLKOS2, CLKOS3, LOCK
);
    localparam EIGHTHS = 8 * (CLKOS_CPHASE - CLKOP_CPHASE) + CLKOS_FPHASE - CLKOP_FPHASE;
    localparam LATE = (4 * EIGHTHS + 4 * CLKOP_DIV) / (8 * CLKOP_DIV);
    reg [1:0] quarter = 3;
    reg [5:0] edges = 0;
    assign LOCK = edges[5];
    assign {CLKOS2, CLKOS3} = 2'b00;  // feedback, which this needs not
    // Each output changes with the input's edges, and in no step after them.
    wire [1:0] next = quarter + 2'd1;
    wire [1:0] late = next - LATE[1:0];
    initial {CLKOP, CLKOS} = 2'b00;
    always @(posedge CLKI or negedge CLKI) begin
        quarter <= next;
        CLKOP <= ~next[1];
        CLKOS <= ~late[1];
        edges <= edges + {5'd0, ~LOCK};
    end
endmodule

// Flip-flops in pads and in logic; those of names in BX are set, those in DX cleared.
module flip_flop #(parameter VALUE = 1'b0)(input D, enable, clock, reset, output reg Q);
    initial Q = VALUE;
    always @(posedge clock or posedge reset)
        if (reset) Q <= VALUE;
        else if (enable) Q <= D;
endmodule

module OFS1P3BX(input D, SP, SCLK, PD, output Q);
    flip_flop #(1'b1) flip_flop(D, SP, SCLK, PD, Q);
endmodule

module IFS1P3BX(input D, SP, SCLK, PD, output Q);
    flip_flop #(1'b1) flip_flop(D, SP, SCLK, PD, Q);
endmodule

module FD1S3BX(input D, CK, PD, output Q);
    flip_flop #(1'b1) flip_flop(D, 1'b1, CK, PD, Q);
endmodule

module OFS1P3DX(input D, SP, SCLK, CD, output Q);
    flip_flop #(1'b0) flip_flop(D, SP, SCLK, CD, Q);
endmodule

module IFS1P3DX(input D, SP, SCLK, CD, output Q);
    flip_flop #(1'b0) flip_flop(D, SP, SCLK, CD, Q);
endmodule

module FD1S3AX(input D, CK, output reg Q);
    initial Q = 0;
    always @(posedge CK)
        Q <= D;
endmodule

// Two bits a cycle; the designs make a clock with it, of constants.
module ODDRX1F(input D0, D1, SCLK, RST, output Q);
    assign Q = ~RST & (SCLK ? D0 : D1);
endmodule

module TRELLIS_IO #(parameter DIR = "INPUT") (inout B, input I, T, output O);
    generate
        if (DIR == "OUTPUT") begin
            assign B = I;
        end else if (DIR == "BIDIR") begin
            assign B = T ? 1'bz : I;
            assign O = B;
        end else begin
            assign O = B;
        end
    endgenerate
endmodule

module IB(input I, output O);
    assign O = I;
endmodule

module OB(input I, output O);
    assign O = I;
endmodule

module OBZ(input I, T, output O);
    assign O = T ? 1'bz : I;
endmodule

module BB(input I, T, inout B, output O);
    assign B = T ? 1'bz : I;
    assign O = B;
endmodule

module GSR(input GSR);
endmodule

module SGSR(input GSR, CLK);
endmodule
