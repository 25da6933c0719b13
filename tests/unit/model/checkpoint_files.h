#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic::testing {

/// A fresh folder that disappears with this object. Movable only by reference; thread-compatible.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  /// Path of a file in it.
  std::string File(std::string_view name) const;
  /// Writes a file in it and returns its path.
  std::string Write(std::string_view name, std::string_view content) const;

 private:
  std::string path_;
};

/// A tensor to write: the data are filled with a pattern that depends on `seed`.
struct TensorSpec {
  std::string name;
  std::string dtype;  ///< As safetensors spells it.
  std::vector<std::int64_t> shape;
  int seed = 0;
};

/// The bytes of a file with this header text and these data, whatever they say.
std::string RawSafetensors(std::string_view header, std::string_view data);

/// The header with spaces up to a multiple of 8 bytes, as the format's own writer pads it, so that
/// the data begin aligned.
std::string Padded(std::string header);

/// A valid file holding `tensors` in this order.
std::string Safetensors(const std::vector<TensorSpec>& tensors);

/// config.json of the smallest OLMoE model: 1 layer, 2 experts, hidden 8.
std::string SmallOlmoeConfig();
/// All its tensors, in bf16.
std::vector<TensorSpec> SmallOlmoeTensors();
/// Writes both, as a single model.safetensors.
void WriteSmallOlmoe(const TempDir& directory);

}  // namespace moesaic::testing
