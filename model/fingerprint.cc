#include "model/fingerprint.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/types/span.h"
#include "base/status_macros.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kSampledBytes = 4096;

/// SHA-256 over parts, each preceded by its length so that no two lists of parts read the same.
/// Single-thread. After an error, every call gives it again.
class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    ok_ = context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1;
  }

  void AddPart(const void* data, std::size_t size) {
    std::array<unsigned char, 8> length;
    for (std::size_t i = 0; i < length.size(); ++i) {
      length[i] = static_cast<unsigned char>(std::uint64_t{size} >> (8 * i));
    }
    Update(length.data(), length.size());
    Update(data, size);
  }

  absl::StatusOr<std::string> Hex() {
    std::string digest(EVP_MAX_MD_SIZE, '\0');
    unsigned int size = 0;
    ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                    &size) == 1;
    if (!ok_) return absl::InternalError("fingerprint: OpenSSL cannot compute SHA-256");
    digest.resize(size);
    return absl::BytesToHexString(digest);
  }

 private:
  void Update(const void* data, std::size_t size) {
    ok_ = ok_ && (size == 0 || EVP_DigestUpdate(context_.get(), data, size) == 1);
  }

  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  bool ok_ = false;
};

}  // namespace

absl::StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint) {
  Sha256 hash;
  hash.AddPart(checkpoint.config_json().data(), checkpoint.config_json().size());
  for (const SafetensorsFile& file : checkpoint.files()) {
    hash.AddPart(file.header().data(), file.header().size());
    for (const TensorInfo& tensor : file.tensors()) {
      const absl::Span<const std::byte> bytes = file.Bytes(tensor);
      const absl::Span<const std::byte> head = bytes.first(std::min(kSampledBytes, bytes.size()));
      const absl::Span<const std::byte> rest = bytes.subspan(head.size());
      const absl::Span<const std::byte> tail = rest.last(std::min(kSampledBytes, rest.size()));
      // Read, not touched: a mapped page brings its neighbours along, and with thousands of tensors
      // those would be most of what a shard holds.
      std::array<std::byte, kSampledBytes> sample;
      for (const absl::Span<const std::byte> part : {head, tail}) {
        MOESAIC_RETURN_IF_ERROR(file.Read(part, sample.data()));
        hash.AddPart(sample.data(), part.size());
      }
    }
  }
  return hash.Hex();
}

}  // namespace moesaic::model
