#include "services/flags/flag_table.h"

#include <cctype>
#include <istream>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace moesaic::services {
namespace {

/// A list without elements is an error: CLI11 reads the first one unseen.
class ConfigFile final : public CLI::ConfigTOML {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> items = CLI::ConfigTOML::from_config(input);
    for (const CLI::ConfigItem& item : items) {
      const bool section = item.name == "++" || item.name == "--";
      if (!section && item.inputs.empty())
        throw CLI::ConversionError(item.fullname() + ": no value");
    }
    return items;
  }
};

}  // namespace

FlagTable::FlagTable(CLI::App& app) : app_(app) {
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.config_formatter(std::make_shared<ConfigFile>());
}

std::vector<std::string> FlagTable::Given() const {
  std::vector<std::string> arguments;
  for (const CLI::Option* option : declared_) {
    if (option->count() > 0) {
      arguments.push_back(absl::StrCat(option->get_name(), "=", option->results().back()));
    }
  }
  return arguments;
}

CLI::Option* FlagTable::Share(const std::string& name) {
  CLI::Option* option = app_.get_option_no_throw("--" + name);
  if (option != nullptr) declared_.push_back(option);
  return option;
}

CLI::Option* FlagTable::Declare(const std::string& name, CLI::Option* option) {
  option->envname(
      absl::StrCat("MOESAIC_", absl::AsciiStrToUpper(absl::StrReplaceAll(name, {{"-", "_"}}))));
  declared_.push_back(option);
  return option;
}

}  // namespace moesaic::services
