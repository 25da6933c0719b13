// Command lines and configuration files of a process, with a flag of every kind.
#include <CLI/CLI.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "services/flags/flag_table.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  CLI::App app("fuzz");
  app.allow_config_extras(CLI::config_extras_mode::error);
  moesaic::services::FlagTable table(app);
  int count = 1;
  double ratio = 0.5;
  bool loud = false;
  std::uint64_t cache_bytes = 0;
  std::string mode = "auto";
  std::string name;
  table.Add("count", count, "A number")->check(CLI::Range(1, 4096));
  table.Add("ratio", ratio, "A share")->check(CLI::Range(0.0, 1.0));
  table.AddSwitch("loud", loud, "A switch");
  table.AddBytes("cache-bytes", cache_bytes, "A size");
  table.Add("mode", mode, "One of three")->check(CLI::IsMember({"auto", "think", "none"}));
  table.Add("name", name, "A text");
  const bool as_file = input.Below(2) == 1;
  try {
    if (as_file) {
      std::istringstream file{std::string(input.Rest())};
      app.parse_from_stream(file);
    } else {
      std::vector<std::string> arguments;
      while (!input.empty()) arguments.emplace_back(input.Until('\n'));
      app.parse(std::move(arguments));
    }
  } catch (const CLI::Error&) {
    return 0;
  }
  MOESAIC_CHECK(count >= 1 && count <= 4096);
  MOESAIC_CHECK(ratio >= 0 && ratio <= 1);
  MOESAIC_CHECK(mode == "auto" || mode == "think" || mode == "none");
  for (const std::string& given : table.Given()) MOESAIC_CHECK(given.starts_with("--"));
  return 0;
}
