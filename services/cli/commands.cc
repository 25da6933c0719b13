#include "services/cli/commands.h"

#include <cstdio>

#include "services/process.h"

namespace moesaic::services {

int Fail(const char* command, const std::string& message) {
  std::fprintf(stderr, "moesaic %s: %s\n", command, message.c_str());
  return kExitFailure;
}

}  // namespace moesaic::services
