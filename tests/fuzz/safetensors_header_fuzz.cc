// The JSON header of a safetensors file.
#include "base/check.h"
#include "model/safetensors_header.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view header(reinterpret_cast<const char*>(data), size);
  const auto tensors = moesaic::model::ParseSafetensorsHeader(header, "file");
  if (!tensors.ok()) return 0;
  for (const moesaic::model::TensorInfo& tensor : *tensors) {
    MOESAIC_CHECK(tensor.begin <= tensor.end);
    std::size_t elements = 1;
    for (const std::int64_t extent : tensor.shape) {
      MOESAIC_CHECK(extent >= 0);
      elements *= static_cast<std::size_t>(extent);
    }
    if (tensor.dtype) {
      MOESAIC_CHECK(elements * moesaic::base::DTypeBytes(*tensor.dtype) == tensor.bytes());
    }
  }
  return 0;
}
