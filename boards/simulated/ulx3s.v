// The pins of a ULX3S that the simulated board uses, under plainer names.
module board(
    input clk, rx,
    output tx, busy, sdram_clk, cke, cs_n, ras_n, cas_n, we_n,
    output [1:0] ba, dqm,
    output [12:0] a,
    inout [15:0] dq
);
    wire initialised, sealed;
    top top(
        .clk25_0__io(clk), .uart_0__rx__io(rx), .uart_0__tx__io(tx),
        .led_0__io(initialised), .led_1__io(sealed), .led_2__io(busy),
        .sdram_0__clk__io(sdram_clk), .sdram_0__clk_en__io(cke), .sdram_0__cs__io(cs_n),
        .sdram_0__ras__io(ras_n), .sdram_0__cas__io(cas_n), .sdram_0__we__io(we_n),
        .sdram_0__ba__io(ba), .sdram_0__a__io(a), .sdram_0__dqm__io(dqm), .sdram_0__dq__io(dq)
    );
endmodule
