#include "wire.h"

#include <algorithm>
#include <array>

namespace pagering {

Wire::Wire(Vcard& card, Counters& counters, std::size_t depth)
    : card_(card), counters_(counters), depth_(depth) {
    card_.s_axis_rx_tvalid = 0;
}

bool Wire::send(const std::byte* bytes, std::size_t size, bool bad) {
    if (frames_.size() >= depth_) return false;
    frames_.push_back({{bytes, bytes + size}, bad});
    return true;
}

bool Wire::step() {
    bool happens = false;
    if (card_.s_axis_rx_tvalid) {
        if (!card_.s_axis_rx_tready) return false;
        happens = true;
        card_.s_axis_rx_tvalid = 0;
        ++counters_.wire_beats;
        if (card_.s_axis_rx_tlast) {
            ++counters_.frames;
            frames_.pop_front();
            at_ = 0;
            silence_ = gap_;
        }
    }
    if (silence_ != 0) {
        --silence_;
        return true;
    }
    if (!frames_.empty()) drive();
    return happens || card_.s_axis_rx_tvalid;
}

void Wire::drive() {
    const Frame& frame = frames_.front();
    const std::size_t size = std::min(frame.bytes.size() - at_, bus_bytes);
    std::array<std::byte, bus_bytes> beat{};
    std::copy_n(frame.bytes.begin() + static_cast<std::ptrdiff_t>(at_), size, beat.begin());
    at_ += size;
    const bool last = at_ == frame.bytes.size();
    set_bytes(card_.s_axis_rx_tdata, beat.data());
    card_.s_axis_rx_tkeep = ~std::uint64_t{0} >> (64 - size);
    card_.s_axis_rx_tlast = last;
    card_.s_axis_rx_tuser = frame.bad && last;
    card_.s_axis_rx_tvalid = 1;
}

void Wire::abandon() {
    if (frames_.empty()) return;
    frames_.resize(at_ == 0 ? 0 : 1);
    if (frames_.empty()) return;
    // The beat that is on offer stays as it is; if it is not the last one, a short one follows.
    Frame& frame = frames_.front();
    if (at_ < frame.bytes.size()) {
        frame.bytes.resize(at_ + 1);
        frame.bad = true;
    }
}

}  // namespace pagering
