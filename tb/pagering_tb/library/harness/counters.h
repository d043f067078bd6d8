// What happened on the card's ports since it was opened.
#pragma once

#include <cstdint>

namespace pagering {

// Seen by the caller as it is: 64-bit words in this order. A reset of the card clears none.
struct Counters {
    std::uint64_t cycles;
    std::uint64_t frames;         // that went in wholly
    std::uint64_t wire_beats;
    std::uint64_t write_bursts;
    std::uint64_t write_beats;
    std::uint64_t write_bytes;    // that reached memory
    std::uint64_t read_bursts;
    std::uint64_t read_beats;
    std::uint64_t read_bytes;     // that came from memory
    std::uint64_t blocked;        // bursts to what is not mapped, or not for writing
    std::uint64_t refused;        // bursts while the card was no bus master
    std::uint64_t last_blocked;   // address of the last burst that was blocked
    std::uint64_t interrupts;     // rising edges of all lines
};

}  // namespace pagering
