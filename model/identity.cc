#include "model/identity.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::model {

std::string NumericsId(const NumericsInputs& inputs) {
  // The separator cannot occur in a name, so that different inputs never spell the same text.
  const std::string text = absl::StrCat(
      inputs.kernel_contract_version, "\n", inputs.device_class, "\n", inputs.weight_format, "\n",
      base::ToAbsl(base::DTypeName(inputs.compute_dtype)), "\n",
      base::ToAbsl(base::DTypeName(inputs.wire_dtype)), "\n", inputs.unit_size, "\n",
      inputs.weight_dtype ? base::ToAbsl(base::DTypeName(*inputs.weight_dtype)) : "stored");
  // 64-bit FNV-1a: the id tells configurations apart, it does not resist an adversary.
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 1099511628211u;
  }
  return absl::StrCat(absl::Hex(hash, absl::kZeroPad16));
}

}  // namespace moesaic::model
