// The files of the ledger's queue, as a crash or a failing disk may leave them.
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "monitoring/ledger/row_queue.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/scratch_folder.h"

namespace {

using moesaic::monitoring::RowQueue;

/// What is lost is logged: many lines a second here.
const bool quiet = (moesaic::base::SetLogLevel(moesaic::base::LogLevel::kError), true);

/// The files of a queue that a healthy process has left.
std::vector<std::pair<std::string, std::string>> HealthyFiles(const RowQueue::Options& options) {
  auto queue = RowQueue::Open(options);
  MOESAIC_CHECK(queue.ok());
  for (const char* record : {"first", "second record", "x", "a third one that is longer"}) {
    MOESAIC_CHECK((*queue)->Append(record).ok());
  }
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& entry : std::filesystem::directory_iterator(options.directory)) {
    files.emplace_back(entry.path().filename(),
                       moesaic::base::ReadFile(entry.path(), 1 << 20).value());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const moesaic::fuzz::ScratchFolder folder;
  static const RowQueue::Options options{
      .directory = folder.Path("queue"), .max_bytes = 1 << 12, .segment_bytes = 128};
  static const auto& healthy = *new auto(HealthyFiles(options));
  std::filesystem::remove_all(options.directory);
  std::filesystem::create_directory(options.directory);
  // What a healthy process has left is overwritten, cut and added to.
  moesaic::fuzz::FuzzInput input(data, size);
  auto files = healthy;
  const std::size_t changes = input.Below(4);
  for (std::size_t i = 0; i < changes; ++i) {
    std::string& content = files[input.Below(files.size())].second;
    const std::size_t at = std::min<std::size_t>(input.Byte(), content.size());
    const std::size_t removed = input.Byte();
    content.replace(at, removed, input.Bytes(input.Byte()));
  }
  for (const auto& [name, content] : files) folder.Write("queue/" + name, content);
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
  MOESAIC_CHECK((*queue)->Append(std::string(3'800, 'x')).ok());  // all of the room is free again
  return 0;
}
