#pragma once

#include <string>

namespace moesaic::services {

/// The folder this program was started from, where its siblings are.
std::string ProgramDirectory();

/// Where the files are that the programs read besides their flags: rules/ and console/. That is
/// share/moesaic beside the bin/ this program was started from, when it is installed like that;
/// else the monitoring/ folder of the sources it was built from.
std::string DefaultShareDir();

}  // namespace moesaic::services
