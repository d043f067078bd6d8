#include "write_port.h"

#include <utility>

#include "broken.h"

namespace pagering {

namespace {

constexpr unsigned full_size = __builtin_ctz(bus_bytes);  // AWSIZE of beats as wide as the bus
constexpr unsigned incrementing = 1;

// The run of ones in the strobes, if it is one.
struct Lanes {
    unsigned first;
    unsigned count;
};

Lanes lanes(std::uint64_t strobes) {
    if (strobes == 0) throw Broken("a beat of the memory bus without a byte");
    const unsigned first = __builtin_ctzll(strobes);
    const std::uint64_t run = strobes >> first;
    if ((run & (run + 1)) != 0) throw Broken("a hole in the strobes of the memory bus");
    return {first, static_cast<unsigned>(__builtin_popcountll(run))};
}

}  // namespace

WritePort::WritePort(Vcard& card, DmaMemory& memory, Counters& counters, unsigned latency)
    : card_(card), memory_(memory), counters_(counters), latency_(latency) {
    clear();
}

void WritePort::clear() {
    addressed_.clear();
    unanswered_.clear();
    beats_.clear();
    card_.m_axi_awready = card_.m_axi_wready = 1;
    card_.m_axi_bid = 0;
    card_.m_axi_bvalid = 0;
}

bool WritePort::step() {
    if (card_.m_axi_awvalid) take_address();
    if (card_.m_axi_wvalid) take_data();
    while (!beats_.empty() && !addressed_.empty()) join();
    if (card_.m_axi_bvalid && card_.m_axi_bready) card_.m_axi_bvalid = 0;
    if (!card_.m_axi_bvalid) answer();
    return card_.m_axi_bvalid || !addressed_.empty() || !unanswered_.empty() || !beats_.empty();
}

void WritePort::take_address() {
    const std::uint64_t address = card_.m_axi_awaddr;
    const unsigned beats = card_.m_axi_awlen + 1u;
    if (card_.m_axi_awburst != incrementing || card_.m_axi_awsize != full_size) {
        throw Broken("a write burst that is not of whole, ascending beats");
    }
    const std::uint64_t first = address - address % bus_bytes;
    if (first % DmaMemory::page + beats * bus_bytes > DmaMemory::page) {
        throw Broken("a write burst that crosses a page");
    }
    addressed_.push_back({first, beats, 0, 0, {}});
}

void WritePort::take_data() {
    Beat beat;
    get_bytes(card_.m_axi_wdata, beat.bytes.data());
    beat.strobes = card_.m_axi_wstrb;
    beat.last = card_.m_axi_wlast;
    beats_.push_back(beat);
    ++counters_.write_beats;
}

void WritePort::join() {
    Burst& burst = addressed_.front();
    const Beat& beat = beats_.front();
    add(burst, beat);
    ++burst.taken;
    if (beat.last != (burst.taken == burst.beats)) {
        throw Broken("a write burst that does not end with its last beat");
    }
    beats_.pop_front();
    if (burst.taken == burst.beats) {
        // What is decided in this cycle is on the bus in the next one.
        burst.due = counters_.cycles + latency_ - 1;
        unanswered_.push_back(std::move(burst));
        addressed_.pop_front();
    }
}

void WritePort::add(Burst& burst, const Beat& beat) {
    const Lanes lane = lanes(beat.strobes);
    const std::uint64_t address = burst.address + burst.taken * bus_bytes + lane.first;
    if (burst.runs.empty()
        || burst.runs.back().address + burst.runs.back().bytes.size() != address) {
        burst.runs.push_back({address, {}});
        burst.runs.back().bytes.reserve((burst.beats - burst.taken) * bus_bytes);
    }
    auto& bytes = burst.runs.back().bytes;
    const auto from = beat.bytes.begin() + lane.first;
    bytes.insert(bytes.end(), from, from + lane.count);
}

void WritePort::answer() {
    if (unanswered_.empty() || unanswered_.front().due > counters_.cycles) return;
    card_.m_axi_bresp = static_cast<std::uint8_t>(store(unanswered_.front()));
    card_.m_axi_bvalid = 1;
    unanswered_.pop_front();
    ++counters_.write_bursts;
}

Response WritePort::store(const Burst& burst) {
    for (const Run& run : burst.runs) {
        const Response response = memory_.write(run.address, run.bytes.data(), run.bytes.size());
        // All of it lies in one page, so the first run decides for all.
        if (response != Response::Okay) return response;
    }
    return Response::Okay;
}

}  // namespace pagering
