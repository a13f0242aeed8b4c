// Bytes of every core::Message. Pure and strict: an unknown enum value, a flag other than 0 or 1, a list
// beyond its capacity, a range that wraps around, or bytes left over make decode_message() give nothing. The
// same functions serve the daemon, the witness and the simulator.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/message.h"
#include "wire/frame.h"

namespace lockstep {

FrameType type_of(const Message& message);

// Appends the body.
void encode_message(std::vector<std::byte>& out, const Message& message);
std::optional<Message> decode_message(FrameType type, std::span<const std::byte> body);

// How many payload bytes travel with this message (WriteRequest and ResyncWrite of kind write, a successful
// ReadReply).
uint64_t payload_bytes_of(const Message& message);

// A whole frame but for the payload's bytes, which the caller sends after it. `payload` has
// payload_bytes_of(message) bytes.
void append_message_frame(std::vector<std::byte>& out, const Message& message, std::span<const std::byte> payload);

}  // namespace lockstep
