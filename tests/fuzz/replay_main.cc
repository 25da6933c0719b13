#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "base/file.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

/// Each input in memory of its own size, so that AddressSanitizer sees a step beyond it.
void RunInput(std::string_view input) {
  const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[input.size()]);
  input.copy(reinterpret_cast<char*>(copy.get()), input.size());
  LLVMFuzzerTestOneInput(copy.get(), input.size());
}

/// Runs the inputs of a pack (scripts/fuzz_corpus.py): each is its length in four bytes, least
/// significant first, and its bytes. False when the file is cut off.
bool RunPack(std::string_view pack, int* inputs) {
  while (!pack.empty()) {
    if (pack.size() < 4) return false;
    std::size_t size = 0;
    for (int i = 3; i >= 0; --i) size = size << 8 | static_cast<std::uint8_t>(pack[i]);
    pack.remove_prefix(4);
    if (size > pack.size()) return false;
    RunInput(pack.substr(0, size));
    pack.remove_prefix(size);
    ++*inputs;
  }
  return true;
}

}  // namespace

/// Runs the committed inputs of a fuzz entry once: replay PACK.
int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s PACK\n", argv[0]);
    return 2;
  }
  const absl::StatusOr<std::string> pack = moesaic::base::ReadFile(argv[1], 64 << 20);
  if (!pack.ok()) {
    std::fprintf(stderr, "%s\n", pack.status().ToString().c_str());
    return 1;
  }
  int inputs = 0;
  if (!RunPack(*pack, &inputs)) {
    std::fprintf(stderr, "%s is cut off\n", argv[1]);
    return 1;
  }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
