// Reads in sequence from a controller, and says how many cycles that took.
#include <cstdio>
#include <cstdlib>

#include "Vtop.h"

static Vtop top;

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
    top.control_adr = 0;  // init_done
    top.control_dat_w = 1;
    top.control_sel = 15;
    top.control_we = top.control_cyc = top.control_stb = 1;
    for (int n = 0; !top.control_ack; n++, tick())
        if (n == 1000)
            return 1;
    tick();
    top.control_cyc = top.control_stb = 0;
    tick();

    top.memory_rready = top.memory_arburst = 1;
    top.memory_arlen = burst - 1;
    top.memory_arsize = __builtin_ctzl(bytes);
    long address = 0, under_way = 0, cycles = 0;
    while (beats > 0 && cycles < 10'000'000) {
        top.memory_arvalid = under_way < 8;
        top.memory_araddr = address;
        top.clk = 0;
        top.eval();
        bool asked = top.memory_arvalid && top.memory_arready;
        bool last = top.memory_rvalid && top.memory_rlast;
        beats -= top.memory_rvalid;
        address += asked ? burst * bytes : 0;
        under_way += asked - last;
        top.clk = 1;
        top.eval();
        cycles++;
    }
    std::printf("%ld\n", cycles);
    return beats > 0;
}
