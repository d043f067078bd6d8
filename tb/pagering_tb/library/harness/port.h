// What the parts around the card have in common, and how they see its ports.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "Vcard.h"

namespace pagering {

// Bytes in a beat of the wire and of the memory bus.
constexpr std::size_t bus_bytes = sizeof(Vcard::m_axi_wdata);

// A wide port is an array of words, a narrow one an integer; both have the lowest byte first.
template <typename Port>
void get_bytes(const Port& port, std::byte* bytes) {
    std::memcpy(bytes, &port, sizeof port);
}

template <typename Port>
void set_bytes(Port& port, const std::byte* bytes) {
    std::memcpy(&port, bytes, sizeof port);
}

// Every part acts once a cycle. `step` sees what the card drives in this cycle, and what the part
// itself drives; it sets what the part drives in the next one. It returns whether anything happened
// or will happen by itself.

}  // namespace pagering
