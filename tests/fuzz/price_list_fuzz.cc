// A price list.
#include "base/check.h"
#include "monitoring/cost/price_list.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto prices = moesaic::monitoring::PriceList::Parse(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!prices.ok()) return 0;
  MOESAIC_CHECK(!prices->currency().empty());
  for (const std::string_view capacity : {"", "on_demand", "spot", "other"}) {
    const auto price = prices->Lookup("m", capacity);
    MOESAIC_CHECK(!price || *price >= 0);
  }
  return 0;
}
