#pragma once
#include "xrt_device.h"

enum xclBOSyncDirection { XCL_BO_SYNC_BO_TO_DEVICE = 0, XCL_BO_SYNC_BO_FROM_DEVICE };

namespace xrt {
class bo {
    char *memory;
    size_t bytes;
    int bank;

public:
    bo(const device &, size_t size, int group) : memory(nullptr), bytes(size), bank(group) {
        if (size > 256u << 20)
            throw std::runtime_error("unable to allocate BO: Cannot allocate memory");
        memory = static_cast<char *>(std::malloc(size));
        for (size_t n = 0; n < size; n++)
            memory[n] = char(0xee);
        fake_buffers++;
    }
    bo(const bo &) = delete;
    ~bo() {
        std::free(memory);
        fake_buffers--;
    }
    template <class T> T map() { return reinterpret_cast<T>(memory); }
    void sync(xclBOSyncDirection direction) {
        if (direction == XCL_BO_SYNC_BO_TO_DEVICE)
            fake.synced(memory, bytes, bank);
    }
    uint64_t address() const { return fake.address; }
};
}  // namespace xrt
