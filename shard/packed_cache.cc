#include "shard/packed_cache.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/crc32c.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "kernels/contract.h"

namespace moesaic::shard {
namespace {

namespace fs = std::filesystem;
using kernels::PackedMatrix;
using placement::UnitKey;

// A file: the header text, padded with newlines; the checksum of each chunk of each part, u32
// little-endian, then that of these, padded with zeros; the parts (gate_up's weights and scales,
// then down's, of each expert), each padded with zeros. Everything starts at a multiple of
// kAlignment.
/// Also to be raised when PackedMatrix lays the same weights out differently.
constexpr int kFormatVersion = 2;
constexpr std::size_t kAlignment = 4096;
constexpr std::size_t kChunkBytes = std::size_t{1} << 20;
/// What the line of a coded matrix ends in, and that of any other, so that a header's length says
/// nothing of it.
constexpr absl::string_view kCoded = " coded";
constexpr absl::string_view kPlain = " plain";
constexpr std::string_view kSuffix = ".packed";
constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr auto kAbandonedAfter = std::chrono::hours(1);

std::size_t Padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }
std::size_t Chunks(std::size_t bytes) { return (bytes + kChunkBytes - 1) / kChunkBytes; }

std::string_view Text(absl::Span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string HeaderText(const std::string& identity, const UnitKey& key,
                       absl::Span<const PackedExpertShape> shapes) {
  std::string text =
      absl::StrCat("moesaic packed unit\nformat ", kFormatVersion, "\nkernel contract ",
                   kernels::kKernelContractVersion, "\n", identity, "\nlayer ", key.layer.value(),
                   "\nunit ", key.unit.value(), "\n");
  for (const PackedExpertShape& shape : shapes) {
    for (const MatrixShape& matrix : {shape.gate_up, shape.down}) {
      absl::StrAppend(&text, "matrix ", matrix.n, " ", matrix.k, " ",
                      base::ToAbsl(base::DTypeName(matrix.storage)), matrix.coded ? kCoded : kPlain,
                      "\n");
    }
  }
  text.resize(Padded(text.size()), '\n');
  return text;
}

/// Takes over from a header found where the one of `shapes` is expected which matrices are coded:
/// the one thing of a file that only its writer knew.
void TakeCoded(std::string_view found, std::vector<PackedExpertShape>& shapes) {
  std::size_t at = 0;
  for (PackedExpertShape& shape : shapes) {
    for (MatrixShape* matrix : {&shape.gate_up, &shape.down}) {
      at = found.find("\nmatrix ", at);
      if (at == found.npos) return;
      const std::size_t end = std::min(found.find('\n', ++at), found.size());
      matrix->coded = matrix->storage == base::DType::kBF16 &&
                      kernels::bf16_code::HasForm(matrix->n, matrix->k) &&
                      absl::EndsWith(base::ToAbsl(found.substr(at, end - at)), kCoded);
    }
  }
}

std::vector<PackedExpertShape> ShapesOf(const std::vector<PackedExpert>& experts) {
  const auto shape = [](const PackedMatrix& matrix) {
    return MatrixShape{matrix.n(), matrix.k(), matrix.storage(), matrix.coded()};
  };
  std::vector<PackedExpertShape> shapes;
  for (const PackedExpert& expert : experts) {
    shapes.push_back({shape(expert.gate_up), shape(expert.down)});
  }
  return shapes;
}

/// All checksums of a file's parts and, last, their own.
std::vector<std::uint32_t> Checksums(absl::Span<const absl::Span<const std::byte>> parts) {
  std::vector<std::uint32_t> sums;
  for (const auto part : parts) {
    for (std::size_t at = 0; at < part.size(); at += kChunkBytes) {
      sums.push_back(base::Crc32c(part.subspan(at, kChunkBytes)));
    }
  }
  sums.push_back(base::Crc32c({reinterpret_cast<const std::byte*>(sums.data()), 4 * sums.size()}));
  return sums;
}

/// Reads the parts of a file in order, checking each chunk.
class PartReader {
 public:
  PartReader(const base::MappedFile& file, std::size_t begin, std::vector<std::uint32_t> sums,
             base::ComputePool& pool)
      : file_(file), at_(begin), sums_(std::move(sums)), pool_(pool) {}

  absl::Status Fill(PackedMatrix::Parts parts) {
    for (const absl::Span<std::byte> part : parts) {
      const std::size_t chunks = Chunks(part.size());
      if (at_ + part.size() > file_.bytes().size() || next_ + chunks >= sums_.size()) {
        return absl::DataLossError("it is shorter than what it should hold");
      }
      std::atomic<bool> sound{true};
      pool_.ParallelFor(static_cast<std::int64_t>(chunks), [&](std::int64_t i) {
        const std::size_t offset = static_cast<std::size_t>(i) * kChunkBytes;
        const auto to = part.subspan(offset, kChunkBytes);
        const bool read =
            file_.Read(file_.bytes().subspan(at_ + offset, to.size()), to.data()).ok();
        if (!read || base::Crc32c(to) != sums_[next_ + i]) sound.store(false);
      });
      if (!sound.load()) return absl::DataLossError("a checksum differs");
      at_ += Padded(part.size());
      next_ += chunks;
    }
    return absl::OkStatus();
  }

  /// Whether nothing was left over.
  bool AtEnd() const { return at_ == file_.bytes().size() && next_ + 1 == sums_.size(); }

 private:
  const base::MappedFile& file_;
  std::size_t at_;
  std::size_t next_ = 0;
  const std::vector<std::uint32_t> sums_;
  base::ComputePool& pool_;
};

std::size_t PartChunks(const PackedExpertShape& shape) {
  std::size_t chunks = 0;
  for (const MatrixShape& matrix : {shape.gate_up, shape.down}) {
    for (const std::size_t bytes :
         PackedMatrix::PartBytes(matrix.n, matrix.k, matrix.storage, matrix.coded)) {
      chunks += Chunks(bytes);
    }
  }
  return chunks;
}

struct CachedFile {
  fs::file_time_type time;
  std::uint64_t bytes = 0;
  fs::path path;
  bool operator<(const CachedFile& other) const { return time < other.time; }
};

/// What is ours in the folder, by its endings; what vanishes meanwhile is left out.
std::vector<CachedFile> FilesIn(const std::string& directory) {
  std::vector<CachedFile> files;
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    const std::string extension = at->path().extension().string();
    if (extension != kSuffix && extension != kTemporarySuffix) continue;
    std::error_code gone;
    const CachedFile file{at->last_write_time(gone), at->file_size(gone), at->path()};
    if (!gone) files.push_back(file);
  }
  return files;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackedCache>> PackedCache::Open(Options options) {
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(options.directory));
  for (const CachedFile& file : FilesIn(options.directory)) {
    const bool abandoned = fs::file_time_type::clock::now() - file.time > kAbandonedAfter;
    std::error_code ignored;
    if (file.path.extension() == kTemporarySuffix && abandoned) fs::remove(file.path, ignored);
  }
  return std::unique_ptr<PackedCache>(new PackedCache(std::move(options)));
}

PackedCache::PackedCache(Options options)
    : options_(std::move(options)),
      prefix_(absl::StrCat(
          absl::Hex(base::Crc32c({reinterpret_cast<const std::byte*>(options_.identity.data()),
                                  options_.identity.size()}),
                    absl::kZeroPad8),
          "-")),
      writer_([this] { WriteAll(); }) {}

PackedCache::~PackedCache() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  writer_.join();
}

std::string PackedCache::PathOf(const UnitKey& key) const {
  return absl::StrCat(options_.directory, "/", prefix_, "layer", key.layer.value(), "-unit",
                      key.unit.value(), base::ToAbsl(kSuffix));
}

absl::StatusOr<std::vector<PackedExpert>> PackedCache::Load(
    const UnitKey& key, absl::Span<const PackedExpertShape> wanted, base::ComputePool& pool) const {
  const std::string path = PathOf(key);
  MOESAIC_ASSIGN_OR_RETURN(const base::MappedFile file, base::MappedFile::Open(path));
  const auto damaged = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(path, ": ", what));
  };
  std::vector<PackedExpertShape> shapes(wanted.begin(), wanted.end());
  std::string found(HeaderText(options_.identity, key, shapes).size(), '\0');
  if (file.bytes().size() < found.size()) return damaged("it is too short");
  MOESAIC_RETURN_IF_ERROR(
      file.Read(file.bytes().first(found.size()), reinterpret_cast<std::byte*>(found.data())));
  TakeCoded(found, shapes);
  if (found != HeaderText(options_.identity, key, shapes))
    return damaged("it holds something else");
  std::size_t chunks = 0;
  for (const PackedExpertShape& shape : shapes) chunks += PartChunks(shape);
  std::vector<std::uint32_t> sums(chunks + 1);
  const std::size_t sum_bytes = sums.size() * sizeof(sums[0]);
  const std::size_t begin = found.size() + Padded(sum_bytes);
  if (file.bytes().size() < begin) return damaged("it is too short");
  MOESAIC_RETURN_IF_ERROR(file.Read(file.bytes().subspan(found.size(), sum_bytes),
                                    reinterpret_cast<std::byte*>(sums.data())));
  if (base::Crc32c({reinterpret_cast<const std::byte*>(sums.data()), 4 * chunks}) != sums.back()) {
    return damaged("the checksum of the checksums differs");
  }
  PartReader reader(file, begin, std::move(sums), pool);
  const auto restore = [&](const MatrixShape& shape) {
    return PackedMatrix::Restore(shape.n, shape.k, shape.storage, shape.coded,
                                 [&](PackedMatrix::Parts parts) { return reader.Fill(parts); });
  };
  std::vector<PackedExpert> experts;
  for (const PackedExpertShape& shape : shapes) {
    absl::StatusOr<PackedMatrix> gate_up = restore(shape.gate_up);
    absl::StatusOr<PackedMatrix> down = gate_up.ok() ? restore(shape.down) : gate_up.status();
    if (absl::IsDataLoss(down.status())) return damaged(down.status().message());
    MOESAIC_RETURN_IF_ERROR(down.status());
    experts.push_back({*std::move(gate_up), *std::move(down)});
  }
  if (!reader.AtEnd()) return damaged("it is longer than what it should hold");
  return experts;
}

void PackedCache::Save(const UnitKey& key, std::weak_ptr<const std::vector<PackedExpert>> experts) {
  {
    base::MutexLock lock(mutex_);
    if (gave_up_) return;
    waiting_.emplace_back(key, std::move(experts));
  }
  changed_.NotifyAll();
}

void PackedCache::Flush() {
  base::MutexLock lock(mutex_);
  while (writing_ || !waiting_.empty()) changed_.Wait(mutex_);
}

void PackedCache::WriteAll() {
  while (true) {
    Waiting next;
    {
      base::MutexLock lock(mutex_);
      writing_ = false;
      changed_.NotifyAll();
      while (!stopping_ && waiting_.empty()) changed_.Wait(mutex_);
      if (stopping_) return;
      next = std::move(waiting_.front());
      waiting_.pop_front();
      writing_ = true;
    }
    const auto experts = next.second.lock();
    if (experts == nullptr) continue;
    const absl::Status written = Write(next.first, *experts);
    if (written.ok()) continue;
    base::LogWarning("packed units are not kept any more: ", written.ToString());
    base::MutexLock lock(mutex_);
    gave_up_ = true;
    waiting_.clear();
  }
}

absl::Status PackedCache::Write(const UnitKey& key, const std::vector<PackedExpert>& experts) {
  std::vector<absl::Span<const std::byte>> parts;
  for (const PackedExpert& expert : experts) {
    for (const PackedMatrix* matrix : {&expert.gate_up, &expert.down}) {
      for (const auto part : matrix->parts()) parts.push_back(part);
    }
  }
  const std::string header = HeaderText(options_.identity, key, ShapesOf(experts));
  const std::vector<std::uint32_t> sums = Checksums(parts);
  const std::string zeros(kAlignment, '\0');
  std::vector<std::string_view> pieces = {header};
  const auto add = [&](std::string_view piece) {
    pieces.push_back(piece);
    pieces.push_back(std::string_view(zeros).substr(0, Padded(piece.size()) - piece.size()));
  };
  add({reinterpret_cast<const char*>(sums.data()), sums.size() * sizeof(sums[0])});
  for (const auto part : parts) add(Text(part));
  std::uint64_t bytes = 0;
  for (const std::string_view piece : pieces) bytes += piece.size();
  if (!MakeRoom(bytes)) {
    return absl::ResourceExhaustedError(absl::StrCat(
        options_.directory, " would take more than its ", options_.max_bytes, " bytes"));
  }
  MOESAIC_RETURN_IF_ERROR(base::WriteFileAtomically(PathOf(key), pieces));
  folder_bytes_ += bytes;
  return absl::OkStatus();
}

bool PackedCache::MakeRoom(std::uint64_t bytes) {
  if (counted_ && folder_bytes_ + bytes <= options_.max_bytes) return true;
  std::vector<CachedFile> files = FilesIn(options_.directory);
  std::sort(files.begin(), files.end());
  folder_bytes_ = 0;
  counted_ = true;
  for (const CachedFile& file : files) folder_bytes_ += file.bytes;
  for (const CachedFile& file : files) {
    if (folder_bytes_ + bytes <= options_.max_bytes) break;
    if (file.path.filename().string().rfind(prefix_, 0) == 0) continue;
    std::error_code error;
    if (fs::remove(file.path, error)) folder_bytes_ -= file.bytes;
  }
  return folder_bytes_ + bytes <= options_.max_bytes;
}

}  // namespace moesaic::shard
