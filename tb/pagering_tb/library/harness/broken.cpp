// Verilator's ways to end the process, turned into exceptions.
//
// The library lives in somebody else's process, so an assertion must not exit it. The design's
// assertions call $finish; which one it was is told by its line in the Verilog text.

#include "broken.h"

#include <string>

#include <verilated.h>

namespace {

[[noreturn]] void end(const std::string& why, int line) {
    throw pagering::Broken(why + " at line " + std::to_string(line));
}

}  // namespace

void vl_finish(const char*, int line, const char*) VL_MT_UNSAFE { end("assertion", line); }

void vl_stop(const char*, int line, const char*) VL_MT_UNSAFE { end("stop", line); }

void vl_fatal(const char*, int line, const char*, const char* message) VL_MT_UNSAFE {
    end(message, line);
}
