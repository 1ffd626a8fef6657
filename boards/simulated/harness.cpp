// C interface to the verilated board: its memory, its serial line, its clock. Used by boards/simulated/board.py.
#include <cstring>

#include "Vboard.h"
#include "line.hpp"
#include "sdram.hpp"
#include "verilated.h"

namespace {

struct Board {
    VerilatedContext context;
    Vboard top{&context};
    Sdram sdram;
    Line line;
    int64_t quarter_ps, steps = 0, quiet = 0;
    SdramPins last{};
    bool clock = false;
    std::string error;

    Board(const SdramParams &sdram, int64_t quarter_ps, int terminal, int divisor, double faults, uint64_t seed)
        : sdram(sdram), line(terminal, divisor, faults, seed), quarter_ps(quarter_ps) {
        top.rx = 1;
    }
    ~Board() { top.final(); }

    SdramPins pins() const {
        return {bool(top.cke), bool(top.cs_n), bool(top.ras_n), bool(top.cas_n), bool(top.we_n), uint8_t(top.ba),
                uint8_t(top.dqm), uint16_t(top.a), uint16_t(top.dq__out), uint16_t(top.dq__en)};
    }

    // A quarter of the clock's period: one edge of the PLL's input.
    void step() {
        int64_t time = steps++ * quarter_ps;
        uint16_t value;
        if (sdram.drives(time, value))
            top.dq = value;
        top.clk ^= 1;
        top.eval();
        SdramPins now = pins();
        sdram.check_bus(time, now.drives);
        if (top.sdram_clk && !clock) {
            if (!(now == last))
                sdram.fail("pins change at the clock's edge");
            sdram.edge(time, now);
        }
        clock = top.sdram_clk;
        last = now;
    }

    // 0: `cycles` went by; 1: nothing happens any more; -1: see `error`.
    int run(uint64_t cycles) {
        for (uint64_t n = 0; n < cycles; n++) {
            uint64_t before = sdram.reads + sdram.writes;
            for (int quarter = 0; quarter < 4; quarter++)
                step();
            top.rx = line.cycle(top.tx);
            if (n % 64 == 0 && line.poll())
                quiet = 0;
            quiet = top.busy || !line.quiet() || sdram.reads + sdram.writes != before ? 0 : quiet + 1;
            if (!sdram.error.empty()) {
                error = "memory: " + sdram.error;
                return -1;
            }
            if (quiet > QUIET)
                return 1;
        }
        return 0;
    }

    static constexpr int64_t QUIET = 50'000;  // longer than any wait for nothing, that of power-up included
};

}  // namespace

extern "C" {

Board *board_create(const SdramParams *sdram, int64_t quarter_ps, int terminal, int divisor, double faults,
                    uint64_t seed) {
    return new Board(*sdram, quarter_ps, terminal, divisor, faults, seed);
}
void board_destroy(Board *b) { delete b; }
int board_run(Board *b, uint64_t cycles) { return b->run(cycles); }
// Bytes have come: go on.
int board_poll(Board *b) {
    if (b->line.poll())
        b->quiet = 0;
    return b->quiet == 0;
}
const char *board_error(Board *b) { return b->error.c_str(); }
uint16_t *board_memory(Board *b) { return b->sdram.memory.data(); }

void board_statistics(Board *b, uint64_t *out) {
    const Line &l = b->line;
    const uint64_t values[] = {uint64_t(b->steps) / 4, b->sdram.reads, b->sdram.writes, b->sdram.activates,
                               b->sdram.refreshes, l.received, l.sent, l.there.lost + l.back.lost,
                               l.there.doubled + l.back.doubled, l.there.damaged + l.back.damaged};
    std::memcpy(out, values, sizeof values);
}

}  // extern "C"
