#include "card.h"

namespace pagering {

namespace {

constexpr unsigned reset_cycles = 8;
constexpr unsigned frame_end_cycles = 64;   // for a frame that is cut off to end
constexpr unsigned clearing_cycles = 1 << 20;
constexpr unsigned answer_cycles = 1 << 20;

}  // namespace

Card::Card(const Options& options, const std::atomic<int>& asking)
    : options_(options),
      asking_(asking),
      card_(&context_),
      memory_(counters_),
      writes_(card_, memory_, counters_, static_cast<unsigned>(options.latency)),
      reads_(card_, memory_, counters_, static_cast<unsigned>(options.latency)),
      registers_(card_),
      wire_(card_, counters_, options.frames),
      interrupts_(card_, counters_, options.lines) {
    card_.clk = 0;
    card_.rst = 1;
    card_.eval();
    reset();
}

Card::~Card() { card_.final(); }

void Card::reset() {
    wire_.abandon();
    // A frame's end that the card takes after the reset would count as a frame.
    for (unsigned cycle = 0; cycle < frame_end_cycles && wire_.waiting() != 0; ++cycle) step();
    card_.rst = 1;
    for (unsigned cycle = 0; cycle < reset_cycles; ++cycle) step();
    writes_.clear();
    reads_.clear();
    registers_.clear();
    card_.rst = 0;
    silent_ = still_ = 0;
    for (unsigned cycle = 0; cycle < clearing_cycles && !quiet(); ++cycle) step();
}

std::uint64_t Card::run(std::uint64_t cycles) {
    std::uint64_t passed = 0;
    while (passed < cycles && !quiet() && asking_.load(std::memory_order_relaxed) == 0) {
        step();
        ++passed;
    }
    return passed;
}

void Card::step() {
    bool happens = writes_.step();
    happens |= reads_.step();
    happens |= registers_.step();
    happens |= wire_.step();
    happens |= interrupts_.step();
    silent_ = happens ? 0 : silent_ + 1;
    still_ = happens || card_.timing ? 0 : still_ + 1;
    card_.clk = !card_.clk;  // both edges count, see library_verilog.py
    card_.eval();
    ++counters_.cycles;
}

bool Card::read(std::uint32_t offset) {
    registers_.read(offset);
    return finish_access();
}

bool Card::write(std::uint32_t offset, std::uint32_t value) {
    registers_.write(offset, value);
    return finish_access();
}

bool Card::finish_access() {
    for (unsigned cycle = 0; cycle < answer_cycles; ++cycle) {
        step();
        if (registers_.answered()) return true;
    }
    return false;
}

bool Card::send(const std::byte* bytes, std::size_t size, bool bad) {
    silent_ = still_ = 0;
    return wire_.send(bytes, size, bad);
}

}  // namespace pagering
