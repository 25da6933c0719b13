// The files of the ledger's queue, as a crash or a failing disk may leave them.
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "monitoring/ledger/row_queue.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/scratch_folder.h"

namespace {

/// What is lost is logged: many lines a second here.
const bool quiet = (moesaic::base::SetLogLevel(moesaic::base::LogLevel::kError), true);

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using moesaic::monitoring::RowQueue;
  static const moesaic::fuzz::ScratchFolder folder;
  const std::string directory = folder.Path("queue");
  std::filesystem::remove_all(directory);
  const RowQueue::Options options{
      .directory = directory, .max_bytes = 1 << 16, .segment_bytes = 128};
  {
    // What a healthy process has left: its records are then overwritten, cut and added to.
    auto queue = RowQueue::Open(options);
    MOESAIC_CHECK(queue.ok());
    for (const char* record : {"first", "second record", "x", "a third one that is longer"}) {
      MOESAIC_CHECK((*queue)->Append(record).ok());
    }
  }
  moesaic::fuzz::FuzzInput input(data, size);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  const std::size_t changes = input.Below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    const std::string name = "queue/" + names[input.Below(names.size())];
    std::string content = moesaic::base::ReadFile(folder.Path(name), 1 << 20).value_or("");
    const std::size_t at = std::min<std::size_t>(input.Byte(), content.size());
    const std::size_t removed = input.Byte();
    content.replace(at, removed, input.Bytes(input.Byte()));
    folder.Write(name, content);
  }
  if (input.Below(2) == 1) folder.Write("queue/cursor", input.Bytes(input.Byte()));

  auto queue = RowQueue::Open(options);
  if (!queue.ok()) return 0;
  MOESAIC_CHECK((*queue)->Append("after").ok());
  // Everything that is there can be read and delivered, and the newest record is the last of it.
  std::string last;
  for (int i = 0; i < 1000; ++i) {
    const auto batch = (*queue)->Read(2);
    MOESAIC_CHECK(batch.ok());
    // Nothing, though there are more: what follows was damaged and has been given up.
    if (batch->records.empty() && (*queue)->records() == 0) break;
    if (!batch->records.empty()) last = batch->records.back();
    MOESAIC_CHECK((*queue)->Deliver(*batch).ok());
  }
  MOESAIC_CHECK(last == "after" && (*queue)->records() == 0);
  MOESAIC_CHECK((*queue)->Append(std::string(60'000, 'x')).ok());  // all of the room is free again
  return 0;
}
