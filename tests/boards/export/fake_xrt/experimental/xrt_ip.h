#pragma once
#include "../xrt/xrt_device.h"

namespace xrt {
class ip {
public:
    ip(const device &, const uuid &, const std::string &name) {
        if (name != "headrace")
            throw std::runtime_error("No such IP '" + name + "'");
    }
    uint32_t read_register(uint32_t offset) const { return fake.read(offset); }
    void write_register(uint32_t offset, uint32_t data) { fake.write(offset, data); }
};
}  // namespace xrt
