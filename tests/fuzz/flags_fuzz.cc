// Command lines and configuration files of a process, with a flag of every kind.
#include <CLI/CLI.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/check.h"
#include "services/flags/flag_table.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

struct Values {
  int count = 1;
  double ratio = 0.5;
  bool loud = false;
  std::uint64_t cache_bytes = 0;
  std::string mode = "auto";
  std::string name;
};

/// Declared once for all runs.
struct CommandLine {
  CommandLine() : app("fuzz"), table(app) {
    app.allow_config_extras(CLI::config_extras_mode::error);
    table.Add("count", values.count, "A number")->check(CLI::Range(1, 4096));
    table.Add("ratio", values.ratio, "A share")->check(CLI::Range(0.0, 1.0));
    table.AddSwitch("loud", values.loud, "A switch");
    table.AddBytes("cache-bytes", values.cache_bytes, "A size");
    table.Add("mode", values.mode, "One of three")->check(CLI::IsMember({"auto", "think", "none"}));
    table.Add("name", values.name, "A text");
  }

  CLI::App app;
  moesaic::services::FlagTable table;
  Values values;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static CommandLine& line = *new CommandLine();
  line.values = Values();
  line.app.clear();
  moesaic::fuzz::FuzzInput input(data, size);
  const bool as_file = input.Below(2) == 1;
  try {
    if (as_file) {
      std::istringstream file{std::string(input.Rest())};
      line.app.parse_from_stream(file);
    } else {
      std::vector<std::string> arguments;
      while (!input.empty()) arguments.emplace_back(input.Until('\n'));
      line.app.parse(std::move(arguments));
    }
  } catch (const CLI::Error&) {
    return 0;
  }
  const Values& values = line.values;
  MOESAIC_CHECK(values.count >= 1 && values.count <= 4096);
  MOESAIC_CHECK(values.ratio >= 0 && values.ratio <= 1);
  MOESAIC_CHECK(values.mode == "auto" || values.mode == "think" || values.mode == "none");
  for (const std::string& given : line.table.Given()) MOESAIC_CHECK(given.starts_with("--"));
  return 0;
}
