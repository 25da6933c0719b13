#include "monitoring/ledger/row_queue.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "monitoring/ledger/checksum.h"

namespace moesaic::monitoring {
namespace {

constexpr std::size_t kHeaderBytes = 8;  // length and checksum of the payload, u32 each
constexpr std::size_t kMaxRecordBytes = 64 << 10;
constexpr std::size_t kReadBytes = 512 << 10;  // at a time; several of the largest records
constexpr std::size_t kMaxSegmentBytes = 64 << 20;
constexpr char kSegmentPrefix[] = "segment-";

absl::Status ErrnoError(const char* what, const std::string& path) {
  return absl::DataLossError(absl::StrCat("cannot ", what, " ", path, ": ", strerror(errno)));
}

std::string Frame(std::string_view record) {
  const auto length = static_cast<std::uint32_t>(record.size());
  const std::uint32_t checksum = Crc32(record);
  std::string frame(kHeaderBytes, '\0');
  std::memcpy(frame.data(), &length, sizeof length);
  std::memcpy(frame.data() + sizeof length, &checksum, sizeof checksum);
  return frame.append(record);
}

/// The record at the start of `bytes`; nothing when it is torn or damaged.
std::optional<std::string_view> FirstRecord(std::string_view bytes) {
  std::uint32_t length = 0;
  std::uint32_t checksum = 0;
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  std::memcpy(&length, bytes.data(), sizeof length);
  std::memcpy(&checksum, bytes.data() + sizeof length, sizeof checksum);
  // A hole in a file reads as zeros, whose checksum would be right.
  if (length == 0 || length > bytes.size() - kHeaderBytes) return std::nullopt;
  const std::string_view record = bytes.substr(kHeaderBytes, length);
  return Crc32(record) == checksum ? std::optional(record) : std::nullopt;
}

absl::StatusOr<std::string> ReadAt(const std::string& path, std::uint64_t offset,
                                   std::uint64_t bytes) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoError("open", path);
  absl::Cleanup close_fd = [fd] { ::close(fd); };
  std::string content(bytes, '\0');
  std::size_t filled = 0;
  while (filled < content.size()) {
    const ssize_t n = ::pread(fd, content.data() + filled, content.size() - filled,
                              static_cast<off_t>(offset + filled));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("read", path);
    if (n == 0) break;
    filled += static_cast<std::size_t>(n);
  }
  content.resize(filled);
  return content;
}

std::string CursorPath(const std::string& directory) { return directory + "/cursor"; }

RowQueue::Position ReadCursor(const std::string& directory) {
  RowQueue::Position position;
  const absl::StatusOr<std::string> text = base::ReadFile(CursorPath(directory), 100);
  if (!text.ok()) return {};
  const std::vector<std::string> parts = absl::StrSplit(*text, absl::ByAnyChar(" \n"));
  const bool sane = parts.size() >= 2 && absl::SimpleAtoi(parts[0], &position.segment) &&
                    absl::SimpleAtoi(parts[1], &position.offset);
  return sane ? position : RowQueue::Position{};
}

}  // namespace

absl::StatusOr<std::unique_ptr<RowQueue>> RowQueue::Open(Options options) {
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(options.directory));
  std::unique_ptr<RowQueue> queue(new RowQueue(std::move(options)));
  MOESAIC_RETURN_IF_ERROR(queue->LockDirectory());
  base::MutexLock lock(queue->mutex_);
  MOESAIC_RETURN_IF_ERROR(queue->Recover());
  MOESAIC_RETURN_IF_ERROR(queue->StartSegment());
  queue->PassFinishedSegments();
  return queue;
}

RowQueue::~RowQueue() {
  base::MutexLock lock(mutex_);
  for (const int fd : full_) ::close(fd);
  if (fd_ >= 0) ::close(fd_);
  if (lock_fd_ >= 0) ::close(lock_fd_);
}

std::string RowQueue::SegmentPath(std::uint64_t number) const {
  return absl::StrFormat("%s/%s%012d", options_.directory, kSegmentPrefix, number);
}

absl::Status RowQueue::LockDirectory() {
  const std::string path = options_.directory + "/lock";
  lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return ErrnoError("open", path);
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("another process uses the ledger queue ", options_.directory));
  }
  return absl::OkStatus();
}

absl::Status RowQueue::Recover() {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.directory, error)) {
    const std::string name = entry.path().filename().string();
    absl::string_view digits = name;
    std::uint64_t number = 0;
    if (absl::ConsumePrefix(&digits, kSegmentPrefix) && absl::SimpleAtoi(digits, &number)) {
      numbers.push_back(number);
    }
  }
  if (error) {
    return absl::DataLossError(
        absl::StrCat("cannot list ", options_.directory, ": ", error.message()));
  }
  std::sort(numbers.begin(), numbers.end());
  cursor_ = ReadCursor(options_.directory);
  for (const std::uint64_t number : numbers) {
    if (number < cursor_.segment) {
      ::unlink(SegmentPath(number).c_str());
    } else {
      MOESAIC_RETURN_IF_ERROR(RecoverSegment(number));
    }
  }
  if (segments_.empty() || segments_.front().number != cursor_.segment) cursor_.offset = 0;
  if (!segments_.empty()) cursor_.segment = segments_.front().number;
  return absl::OkStatus();
}

absl::Status RowQueue::RecoverSegment(std::uint64_t number) {
  const std::string path = SegmentPath(number);
  MOESAIC_ASSIGN_OR_RETURN(const std::string content, base::ReadFile(path, kMaxSegmentBytes));
  Segment segment{number};
  bool passed_cursor = false;
  std::string_view rest = content;
  while (const std::optional<std::string_view> record = FirstRecord(rest)) {
    const std::size_t size = kHeaderBytes + record->size();
    const bool delivered =
        number == cursor_.segment && cursor_.offset - segment.bytes >= size && !passed_cursor;
    // A cursor that a failing disk has put within a record stands before it.
    if (!delivered && number == cursor_.segment && !std::exchange(passed_cursor, true)) {
      cursor_.offset = segment.bytes;
    }
    if (!delivered) ++records_, ++segment.records, bytes_ += size;
    segment.bytes += size;
    rest.remove_prefix(size);
  }
  if (!rest.empty()) {
    lost_bytes_ += rest.size();
    base::LogWarning("ledger queue: ", path, " ends in ", rest.size(), " bytes of a torn record");
  }
  segments_.push_back(segment);
  return absl::OkStatus();
}

absl::Status RowQueue::StartSegment() {
  const std::uint64_t last = segments_.empty() ? cursor_.segment : segments_.back().number;
  const Segment segment{last + 1};
  const std::string path = SegmentPath(segment.number);
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) return ErrnoError("create", path);
  if (fd_ >= 0) full_.push_back(fd_);
  fd_ = fd;
  segments_.push_back(segment);
  return absl::OkStatus();
}

void RowQueue::PassFinishedSegments() {
  if (cursor_.segment != segments_.front().number) cursor_ = {segments_.front().number, 0};
  while (segments_.size() > 1 && cursor_.offset >= segments_.front().bytes) {
    ::unlink(SegmentPath(segments_.front().number).c_str());
    segments_.pop_front();
    cursor_ = {segments_.front().number, 0};
  }
}

absl::Status RowQueue::Append(std::string_view record) {
  if (record.empty() || record.size() > kMaxRecordBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a record of ", record.size(), " bytes"));
  }
  const std::string frame = Frame(record);
  base::MutexLock lock(mutex_);
  if (bytes_ + frame.size() > options_.max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the ledger queue ", options_.directory, " is full: ", records_, " records"));
  }
  if (segments_.back().bytes + frame.size() > options_.segment_bytes) {
    MOESAIC_RETURN_IF_ERROR(StartSegment());
  }
  // One call: another process' kill comes before or after it, and O_APPEND keeps it in one piece.
  const ssize_t written = ::write(fd_, frame.data(), frame.size());
  if (written != static_cast<ssize_t>(frame.size())) {
    const absl::Status error = ErrnoError("write", SegmentPath(segments_.back().number));
    if (::ftruncate(fd_, static_cast<off_t>(segments_.back().bytes)) != 0) {
      MOESAIC_RETURN_IF_ERROR(StartSegment());  // the torn record ends the old one
    }
    return error;
  }
  segments_.back().bytes += frame.size();
  ++segments_.back().records;
  bytes_ += frame.size();
  ++records_;
  dirty_ = true;
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::Status RowQueue::Sync() {
  std::vector<int> full;
  int last = -1;
  {
    base::MutexLock lock(mutex_);
    if (!std::exchange(dirty_, false)) return absl::OkStatus();
    full.swap(full_);
    last = ::dup(fd_);
  }
  absl::Status status;
  const auto sync = [&status, this](int fd) {
    if (fd < 0 || ::fdatasync(fd) != 0) status = ErrnoError("sync", options_.directory);
    if (fd >= 0) ::close(fd);
  };
  for (const int fd : full) sync(fd);
  sync(last);
  // Names of new segments.
  sync(::open(options_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return status;
}

absl::StatusOr<RowQueue::Batch> RowQueue::Read(std::size_t max_records) {
  Batch batch;
  Segment segment;
  {
    base::MutexLock lock(mutex_);
    PassFinishedSegments();
    batch.end = cursor_;
    segment = segments_.front();
  }
  if (batch.end.offset >= segment.bytes) return batch;
  const std::string path = SegmentPath(segment.number);
  const std::uint64_t wanted =
      std::min<std::uint64_t>(kReadBytes, segment.bytes - batch.end.offset);
  MOESAIC_ASSIGN_OR_RETURN(const std::string content, ReadAt(path, batch.end.offset, wanted));
  std::string_view rest = content;
  while (batch.records.size() < max_records) {
    const std::optional<std::string_view> record = FirstRecord(rest);
    if (!record) break;
    batch.records.emplace_back(*record);
    batch.end.offset += kHeaderBytes + record->size();
    rest.remove_prefix(kHeaderBytes + record->size());
  }
  if (batch.records.empty()) batch.end = DropDamaged();
  return batch;
}

absl::Status RowQueue::Deliver(const Batch& batch) {
  {
    base::MutexLock lock(mutex_);
    cursor_ = batch.end;
    records_ -= batch.records.size();
    segments_.front().records -= batch.records.size();
    for (const std::string& record : batch.records) bytes_ -= kHeaderBytes + record.size();
    PassFinishedSegments();
  }
  return base::WriteFileAtomically(CursorPath(options_.directory),
                                   absl::StrCat(batch.end.segment, " ", batch.end.offset, "\n"));
}

RowQueue::Position RowQueue::DropDamaged() {
  base::MutexLock lock(mutex_);
  Segment& segment = segments_.front();
  base::LogError("ledger queue: ", SegmentPath(segment.number), " is damaged at byte ",
                 cursor_.offset, "; ", segment.records, " records are lost");
  lost_bytes_ += segment.bytes - cursor_.offset;
  records_ -= std::exchange(segment.records, 0);
  bytes_ -= segment.bytes - cursor_.offset;
  cursor_.offset = segment.bytes;
  if (segments_.size() == 1) {
    // What is written next must not follow what cannot be read.
    const absl::Status started = StartSegment();
    if (!started.ok()) base::LogError("ledger queue: ", started.message());
  }
  return cursor_;
}

void RowQueue::AwaitRecords(absl::Duration timeout) {
  base::MutexLock lock(mutex_);
  if (records_ == 0 && !interrupted_) changed_.WaitFor(mutex_, timeout);
}

void RowQueue::Interrupt() {
  base::MutexLock lock(mutex_);
  interrupted_ = true;
  changed_.NotifyAll();
}

std::uint64_t RowQueue::records() const {
  base::MutexLock lock(mutex_);
  return records_;
}

std::uint64_t RowQueue::lost_bytes() const {
  base::MutexLock lock(mutex_);
  return lost_bytes_;
}

}  // namespace moesaic::monitoring
