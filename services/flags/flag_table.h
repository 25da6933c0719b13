#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

namespace moesaic::services {

/// Declares the flags of one process on a CLI11 application, each with its environment variable:
/// --kv-cache-bytes is MOESAIC_KV_CACHE_BYTES. Precedence: flag, environment, configuration file,
/// default. Several tables may share an application (`moesaic up` takes the flags of every process
/// it starts): a flag that is already there is declared once and belongs to both. Single-thread.
class FlagTable {
 public:
  /// A flag given twice has its last value.
  explicit FlagTable(CLI::App& app);

  /// A flag with a value; `target` holds the default and receives the value.
  template <typename T>
  CLI::Option* Add(const std::string& name, T& target, const std::string& help) {
    if (CLI::Option* shared = Share(name)) return shared;
    return Declare(name, app_.add_option("--" + name, target, help)->capture_default_str());
  }

  /// An on/off flag: --name, or --name=false.
  CLI::Option* AddSwitch(const std::string& name, bool& target, const std::string& help) {
    if (CLI::Option* shared = Share(name)) return shared;
    return Declare(name, app_.add_flag("--" + name, target, help));
  }

  /// A size in bytes: 1073741824, 1GiB or 1GB (both 2^30).
  CLI::Option* AddBytes(const std::string& name, std::uint64_t& target, const std::string& help) {
    if (CLI::Option* shared = Share(name)) return shared;
    return Add(name, target, help)->transform(CLI::AsSizeValue(false));
  }

  /// The flags of this table that were given a value other than their default, as arguments.
  std::vector<std::string> Given() const;

 private:
  CLI::Option* Share(const std::string& name);
  CLI::Option* Declare(const std::string& name, CLI::Option* option);

  CLI::App& app_;
  std::vector<CLI::Option*> declared_;
};

}  // namespace moesaic::services
