// XRT as far as headrace_xrt.cpp uses it, in front of functions that a test gives. Written from AMD's
// example of a user managed kernel.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

struct FakeXrt {
    uint32_t (*read)(uint32_t);
    void (*write)(uint32_t, uint32_t);
    void (*synced)(const void *, uint64_t, int);  // memory, its size, its bank
    uint64_t address;                             // where memory is, for the card
    int32_t banks, used;                          // how many there are, and which is connected
};
inline FakeXrt fake{};
inline int fake_buffers = 0;  // that are allocated

extern "C" inline __attribute__((used)) void fake_xrt(const FakeXrt *of) { fake = *of; }
extern "C" inline __attribute__((used)) int fake_xrt_buffers() { return fake_buffers; }

namespace xrt {
class uuid {};
class device {
public:
    explicit device(unsigned index) {
        if (index != 0)
            throw std::runtime_error("Could not open device with index '" + std::to_string(index) + "'");
    }
    uuid load_xclbin(const std::string &) { return {}; }
};
}  // namespace xrt
