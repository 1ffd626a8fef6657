// The ECP5's DDR3 primitives, for counting a controller's cycles: clocks pass, and all is ready at once. Nothing is
// written and nothing read.

module EHXPLLL #(
    parameter CLKI_DIV = 1, CLKFB_DIV = 1, CLKOP_DIV = 1, CLKOS_DIV = 1, CLKOS2_DIV = 1, CLKOS3_DIV = 1, CLKOP_CPHASE = 0,
    CLKOS_CPHASE = 0, CLKOS2_CPHASE = 0, CLKOS3_CPHASE = 0, CLKOP_FPHASE = 0, CLKOS_FPHASE = 0, CLKOS2_FPHASE = 0,
    CLKOS3_FPHASE = 0, CLKOP_ENABLE = "", CLKOS_ENABLE = "", CLKOS2_ENABLE = "", CLKOS3_ENABLE = "", FEEDBK_PATH = ""
) (
    input CLKI, CLKFB, RST, STDBY, output CLKOP, CLKOS, CLKOS2, CLKOS3, LOCK
);
    assign {CLKOP, CLKOS, CLKOS2, CLKOS3} = {4{CLKI}};
    assign LOCK = ~RST;
endmodule

module ECLKBRIDGECS (
    input CLK0, SEL, output ECSOUT
);
    assign ECSOUT = CLK0;
endmodule

module ECLKSYNCB (
    input ECLKI, STOP, output ECLKO
);
    assign ECLKO = ECLKI;
endmodule

module CLKDIVF #(
    parameter DIV = ""
) (
    input ALIGNWD, CLKI, RST, output CDIVX
);
    assign CDIVX = CLKI;
endmodule

module FD1S3BX (
    input CK, D, PD, output reg Q
);
    always @(posedge CK or posedge PD)
        if (PD) Q <= 1;
        else Q <= D;
endmodule

module DDRDLLA (
    input CLK, RST, UDDCNTLN, FREEZE, output DDRDEL, LOCK
);
    assign DDRDEL = 0;
    assign LOCK = 1;
endmodule

module DELAYG #(
    parameter DEL_VALUE = 0, DEL_MODE = ""
) (
    input A, output Z
);
    assign Z = A;
endmodule

module DQSBUFM #(
    parameter DQS_LI_DEL_ADJ = "", DQS_LI_DEL_VAL = 0, DQS_LO_DEL_ADJ = "", DQS_LO_DEL_VAL = 0
) (
    input RST, SCLK, ECLK, DDRDEL, PAUSE, RDLOADN, RDMOVE, RDDIRECTION, WRLOADN, WRMOVE, WRDIRECTION, READ0,
    READ1, READCLKSEL0, READCLKSEL1, READCLKSEL2, DQSI, output DQSR90, RDPNTR0, RDPNTR1, RDPNTR2, WRPNTR0,
    WRPNTR1, WRPNTR2, DATAVALID, BURSTDET, DQSW270, DQSW
);
    assign {DQSR90, RDPNTR0, RDPNTR1, RDPNTR2, WRPNTR0, WRPNTR1, WRPNTR2, DATAVALID, BURSTDET, DQSW270, DQSW} = 0;
endmodule

module IDDRX2DQA (
    input D, RST, DQSR90, SCLK, ECLK, RDPNTR0, RDPNTR1, RDPNTR2, WRPNTR0, WRPNTR1, WRPNTR2, output Q0, Q1, Q2,
    Q3, QWL
);
    assign {Q0, Q1, Q2, Q3, QWL} = 0;
endmodule

module ODDRX2DQA (
    input D0, D1, D2, D3, RST, ECLK, SCLK, DQSW270, output Q
);
    assign Q = 0;
endmodule

module ODDRX2DQSB (
    input D0, D1, D2, D3, RST, ECLK, SCLK, DQSW, output Q
);
    assign Q = 0;
endmodule

module ODDRX2F (
    input D0, D1, D2, D3, RST, ECLK, SCLK, output Q
);
    assign Q = D0;
endmodule

module TSHX2DQA (
    input T0, T1, SCLK, ECLK, DQSW270, RST, output Q
);
    assign Q = 1;
endmodule

module TSHX2DQSA (
    input T0, T1, SCLK, ECLK, DQSW, RST, output Q
);
    assign Q = 1;
endmodule

module TRELLIS_IO #(
    parameter DIR = ""
) (
    input B, I, T, output O
);
    assign O = B;
endmodule
