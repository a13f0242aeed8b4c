#include "core/record_writer.h"

namespace lockstep {

void RecordWriter::changed(std::function<void()> then) {
  ++version_;
  if (then) waiters_.push_back({version_, std::move(then)});
}

void RecordWriter::pump() {
  if (failed_ || writing_ || written_ == version_) return;
  writing_ = true;
  in_write_ = version_;
  token_ = {ctx_.fresh_id()};
  ctx_.emit(WriteRecord{token_, std::make_shared<const NodeRecord>(ctx_.record)});
}

bool RecordWriter::done(MetaToken token, bool ok) {
  if (!writing_ || token != token_) return false;
  writing_ = false;
  if (!ok) {
    failed_ = true;
    waiters_.clear();
    return true;
  }
  written_ = in_write_;
  while (!waiters_.empty() && waiters_.front().version <= written_) {
    auto then = std::move(waiters_.front().then);
    waiters_.pop_front();
    then();
  }
  return true;
}

}  // namespace lockstep
