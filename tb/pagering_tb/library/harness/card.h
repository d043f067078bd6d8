// The card, with everything around it, and the clock.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include <verilated.h>

#include "counters.h"
#include "dma_memory.h"
#include "interrupt_lines.h"
#include "port.h"
#include "read_port.h"
#include "register_port.h"
#include "wire.h"
#include "write_port.h"

namespace pagering {

// What the caller chooses; seen by it as it is: 64-bit words in this order.
struct Options {
    std::uint64_t lines;    // interrupts
    std::uint64_t latency;  // of memory, in cycles
    std::uint64_t frames;   // that may wait to go in
    // Nothing happens by itself when nothing did for `settle` cycles and no timer ran, or for
    // `longest` cycles, which is more than a timer has.
    std::uint64_t settle;
    std::uint64_t longest;
};

class Card {
public:
    // `asking` is how many wait, in other threads, until `run` returns.
    Card(const Options& options, const std::atomic<int>& asking);
    ~Card();
    Card(const Card&) = delete;
    Card& operator=(const Card&) = delete;

    // The power-on reset over again: nothing of what is in flight is left.
    void reset();

    // Let time pass until `cycles` are over, the card is quiet or somebody asks for it; return the
    // cycles.
    std::uint64_t run(std::uint64_t cycles);

    // Whether nothing happens any more until something comes from outside.
    bool quiet() const {
        return still_ >= options_.settle || silent_ >= options_.longest;
    }

    // Do an access; return false if it is not answered.
    bool read(std::uint32_t offset);
    bool write(std::uint32_t offset, std::uint32_t value);

    bool send(const std::byte* bytes, std::size_t size, bool bad);

    const Counters& counters() const { return counters_; }
    DmaMemory& memory() { return memory_; }
    RegisterPort& registers() { return registers_; }
    Wire& wire() { return wire_; }
    InterruptLines& interrupts() { return interrupts_; }

private:
    void step();
    bool finish_access();

    const Options options_;
    const std::atomic<int>& asking_;
    Counters counters_{};
    VerilatedContext context_;
    Vcard card_;
    DmaMemory memory_;
    WritePort writes_;
    ReadPort reads_;
    RegisterPort registers_;
    Wire wire_;
    InterruptLines interrupts_;
    std::uint64_t silent_ = 0;  // cycles since anything happened
    std::uint64_t still_ = 0;   // since then, and since a timer ran
};

}  // namespace pagering
