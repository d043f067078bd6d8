#include "read_port.h"

#include "broken.h"

namespace pagering {

namespace {

constexpr unsigned full_size = __builtin_ctz(bus_bytes);  // ARSIZE of beats as wide as the bus
constexpr unsigned incrementing = 1;

}  // namespace

ReadPort::ReadPort(Vcard& card, DmaMemory& memory, Counters& counters, unsigned latency)
    : card_(card), memory_(memory), counters_(counters), latency_(latency) {
    clear();
}

void ReadPort::clear() {
    waiting_.clear();
    bytes_.clear();
    at_ = 0;
    card_.m_axi_arready = 1;
    card_.m_axi_rid = 0;
    card_.m_axi_rvalid = 0;
}

bool ReadPort::step() {
    if (card_.m_axi_arvalid) take_address();
    if (card_.m_axi_rvalid && card_.m_axi_rready) {
        ++counters_.read_beats;
        card_.m_axi_rvalid = 0;
    }
    if (!card_.m_axi_rvalid) {
        if (at_ == bytes_.size()) begin();
        if (at_ != bytes_.size()) drive();
    }
    return card_.m_axi_rvalid || !waiting_.empty();
}

void ReadPort::take_address() {
    const std::uint64_t address = card_.m_axi_araddr;
    const unsigned beats = card_.m_axi_arlen + 1u;
    if (card_.m_axi_arburst != incrementing || card_.m_axi_arsize != full_size
        || address % bus_bytes != 0) {
        throw Broken("a read burst that is not of whole, ascending beats");
    }
    if (address % DmaMemory::page + beats * bus_bytes > DmaMemory::page) {
        throw Broken("a read burst that crosses a page");
    }
    // What is decided in this cycle is on the bus in the next one.
    waiting_.push_back({address, beats, counters_.cycles + latency_ - 1});
}

void ReadPort::begin() {
    if (waiting_.empty() || waiting_.front().due > counters_.cycles) return;
    const Burst& burst = waiting_.front();
    bytes_.assign(burst.beats * bus_bytes, std::byte{0});  // what an error answer carries
    at_ = 0;
    response_ = memory_.read(burst.address, bytes_.data(), bytes_.size());
    waiting_.pop_front();
    ++counters_.read_bursts;
}

void ReadPort::drive() {
    set_bytes(card_.m_axi_rdata, bytes_.data() + at_);
    at_ += bus_bytes;
    card_.m_axi_rresp = static_cast<std::uint8_t>(response_);
    card_.m_axi_rlast = at_ == bytes_.size();
    card_.m_axi_rvalid = 1;
}

}  // namespace pagering
