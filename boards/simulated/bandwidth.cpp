// Reads in sequence from a controller, and says how many cycles that took.
#include <cstdio>
#include <cstdlib>

#include "Vcore.h"

static Vcore top;

static void tick() {
    top.clk = 0;
    top.eval();
    top.clk = 1;
    top.eval();
}

// BEATS BURST BYTES: how many beats, by how many, of how many bytes.
int main(int, char **arguments) {
    long beats = std::atol(arguments[1]), burst = std::atol(arguments[2]), bytes = std::atol(arguments[3]);
    for (int n = 0; n < 100'000; n++)
        tick();  // its reset, and its PHY's
    top.wb_ctrl_adr = 0;  // init_done
    top.wb_ctrl_dat_w = 1;
    top.wb_ctrl_sel = 15;
    top.wb_ctrl_we = top.wb_ctrl_cyc = top.wb_ctrl_stb = 1;
    for (int n = 0; !top.wb_ctrl_ack; n++, tick())
        if (n == 1000)
            return 1;
    tick();
    top.wb_ctrl_cyc = top.wb_ctrl_stb = 0;
    tick();

    top.user_port_axi_rready = top.user_port_axi_arburst = 1;
    top.user_port_axi_arlen = burst - 1;
    top.user_port_axi_arsize = __builtin_ctzl(bytes);
    long address = 0, under_way = 0, cycles = 0;
    while (beats > 0 && cycles < 10'000'000) {
        top.user_port_axi_arvalid = under_way < 8;
        top.user_port_axi_araddr = address;
        top.clk = 0;
        top.eval();
        bool asked = top.user_port_axi_arvalid && top.user_port_axi_arready;
        bool last = top.user_port_axi_rvalid && top.user_port_axi_rlast;
        beats -= top.user_port_axi_rvalid;
        address += asked ? burst * bytes : 0;
        under_way += asked - last;
        top.clk = 1;
        top.eval();
        cycles++;
    }
    std::printf("%ld\n", cycles);
    return beats > 0;
}
