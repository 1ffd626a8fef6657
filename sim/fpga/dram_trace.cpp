// Runs a list of requests through the DRAM model, its queue always full, and returns the commands,
// and what the clocks up to the last transfer went for: those before any request, and the four kinds
// of waits of `dram.hpp`; then conflicts.
#include "dram.hpp"

extern "C" int64_t dram_run(const DramParams *params, const uint64_t *indices, const uint8_t *write,
                            uint64_t count, Dram::Event *events, uint64_t capacity, uint64_t *used,
                            int64_t *spent) {
    Dram dram(*params);
    dram.tracing = true;
    uint64_t next = 0, arrived = 0, reads = 0;
    for (uint64_t n = 0; n < count; n++)
        reads += !write[n];
    while (next < count || !dram.empty() || arrived < reads) {
        while (next < count && !dram.full()) {
            dram.push(indices[next], write[next], uint32_t(next));
            next++;
        }
        dram.tick();
        while (!dram.done.empty() && dram.done.front().cycle <= dram.now) {
            dram.done.pop_front();
            arrived++;
        }
        if (dram.now > int64_t(10000 + 1000 * count))
            return -1;  // stuck
    }
    *used = dram.trace.size();
    std::copy_n(dram.trace.begin(), std::min<uint64_t>(capacity, dram.trace.size()), events);
    const int64_t values[] = {dram.unused(), dram.refreshing, dram.opening, dram.turning, dram.spacing,
                              dram.conflicts};
    std::copy(std::begin(values), std::end(values), spent);
    return dram.now;
}
