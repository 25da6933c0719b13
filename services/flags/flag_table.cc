#include "services/flags/flag_table.h"

#include <cctype>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace moesaic::services {

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
