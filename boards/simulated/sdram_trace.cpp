// Runs a list of pins, one for each of the clock's edges, through the SDRAM model.
#include <cstring>

#include "sdram.hpp"

struct Edge {
    int64_t time;
    uint8_t cke, cs_n, ras_n, cas_n, we_n, ba, dqm, drives;
    uint16_t a, dq;
};

// The data lines as they are just before each edge go to `seen`. Returns how many edges went well; what was
// wrong with the one after them goes to `error`, of `size` characters.
extern "C" uint64_t sdram_run(const SdramParams *params, const Edge *edges, uint64_t count, int32_t *seen,
                              char *error, uint64_t size) {
    Sdram sdram(*params);
    error[0] = 0;
    for (uint64_t n = 0; n < count; n++) {
        const Edge &e = edges[n];
        uint16_t value = 0;
        seen[n] = sdram.drives(e.time - 1, value) ? value : -1;
        uint16_t drives = e.drives ? 0xffff : 0;
        sdram.check_bus(e.time - 1, drives);
        sdram.edge(e.time, {bool(e.cke), bool(e.cs_n), bool(e.ras_n), bool(e.cas_n), bool(e.we_n), e.ba, e.dqm,
                            e.a, e.dq, drives});
        if (!sdram.error.empty()) {
            std::strncpy(error, sdram.error.c_str(), size - 1);
            error[size - 1] = 0;
            return n;
        }
    }
    return count;
}
