#include "register_port.h"

namespace pagering {

namespace {

constexpr unsigned whole_word = 0xf;

}  // namespace

RegisterPort::RegisterPort(Vcard& card) : card_(card) { clear(); }

void RegisterPort::clear() {
    state_ = State::Idle;
    card_.s_axil_awvalid = card_.s_axil_wvalid = card_.s_axil_arvalid = 0;
    card_.s_axil_awprot = card_.s_axil_arprot = 0;
    card_.s_axil_wstrb = whole_word;
    card_.s_axil_bready = card_.s_axil_rready = 1;
}

void RegisterPort::read(std::uint32_t offset) {
    state_ = State::Read;
    offset_ = offset;
}

void RegisterPort::write(std::uint32_t offset, std::uint32_t value) {
    state_ = State::Write;
    offset_ = offset;
    value_ = value;
}

bool RegisterPort::step() {
    if (state_ == State::Idle) return false;
    if (state_ == State::Answer) {
        look_for_answer();
    } else {
        offer();
    }
    return true;
}

void RegisterPort::offer() {
    if (state_ == State::Read) {
        card_.s_axil_araddr = offset_;
        card_.s_axil_arvalid = 1;
    } else {
        card_.s_axil_awaddr = offset_;
        card_.s_axil_wdata = value_;
        card_.s_axil_awvalid = card_.s_axil_wvalid = 1;
    }
    state_ = State::Answer;
}

void RegisterPort::look_for_answer() {
    if (card_.s_axil_awready) card_.s_axil_awvalid = 0;
    if (card_.s_axil_wready) card_.s_axil_wvalid = 0;
    if (card_.s_axil_arready) card_.s_axil_arvalid = 0;
    if (card_.s_axil_rvalid) {
        value_ = card_.s_axil_rdata;
        response_ = static_cast<Response>(card_.s_axil_rresp);
        state_ = State::Idle;
    } else if (card_.s_axil_bvalid) {
        response_ = static_cast<Response>(card_.s_axil_bresp);
        state_ = State::Idle;
    }
}

}  // namespace pagering
