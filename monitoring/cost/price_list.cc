#include "monitoring/cost/price_list.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace moesaic::monitoring {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxBytes = 4 << 20;  // a cloud's whole list is about a megabyte
constexpr std::size_t kMaxNodeTypes = 20'000;
constexpr std::size_t kMaxNameLength = 128;
constexpr double kMaxPrice = 1e9;  // some currencies are small
constexpr int kMaxGpus = 1024;
constexpr absl::Duration kLookEvery = absl::Seconds(1);

absl::Status Wrong(std::string_view key, std::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(std::string(key), ": ", std::string(problem)));
}

/// Text of a JSON object without duplicate keys, which nlohmann would silently merge.
absl::StatusOr<Json> ParseObject(std::string_view text) {
  std::vector<std::set<std::string>> open;
  std::string duplicate;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end) open.pop_back();
    if (event == Json::parse_event_t::key &&
        !open.back().insert(parsed.get<std::string>()).second) {
      duplicate = parsed.get<std::string>();
    }
    return true;
  };
  Json json = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  if (!duplicate.empty()) return Wrong(duplicate, "there twice");
  return json;
}

absl::StatusOr<double> ReadPrice(const std::string& key, const Json& value) {
  if (!value.is_number()) return Wrong(key, "must be a number");
  const double price = value.get<double>();
  if (!std::isfinite(price) || price < 0 || price > kMaxPrice) {
    return Wrong(key, "must be a price of 0 or more");
  }
  return price;
}

absl::StatusOr<std::string> ReadText(const std::string& key, const Json& value) {
  if (!value.is_string() || value.get_ref<const std::string&>().size() > 4096) {
    return Wrong(key, "must be a text");
  }
  return value.get<std::string>();
}

absl::StatusOr<NodePrice> ReadNode(const std::string& path, const Json& node) {
  if (!node.is_object()) return Wrong(path, "must be an object");
  NodePrice price;
  for (const auto& [name, value] : node.items()) {
    const std::string key = absl::StrCat(path, ".", name);
    if (name == "on_demand_per_hour") {
      MOESAIC_ASSIGN_OR_RETURN(price.on_demand_per_hour, ReadPrice(key, value));
    } else if (name == "spot_per_hour") {
      MOESAIC_ASSIGN_OR_RETURN(price.spot_per_hour, ReadPrice(key, value));
    } else if (name == "gpus") {
      if (!value.is_number_integer() || value < 0 || value > kMaxGpus) {
        return Wrong(key, "must be a number of GPUs");
      }
      price.gpus = value.get<int>();
    } else if (name == "note") {
      MOESAIC_RETURN_IF_ERROR(ReadText(key, value).status());
    } else {
      return Wrong(key, "unknown key");
    }
  }
  return price;
}

}  // namespace

struct PriceList::Reader {
  PriceList& list;

  absl::Status ReadKey(const std::string& key, const Json& value) {
    if (key == "currency") return ReadCurrency(value);
    if (key == "region") {
      MOESAIC_ASSIGN_OR_RETURN(list.region_, ReadText(key, value));
    } else if (key == "note") {
      MOESAIC_RETURN_IF_ERROR(ReadText(key, value).status());
    } else if (key == "energy_per_kwh") {
      MOESAIC_ASSIGN_OR_RETURN(list.energy_per_kwh_, ReadPrice(key, value));
    } else if (key == "node_types") {
      return ReadNodes(value);
    } else {
      return Wrong(key, "unknown key");
    }
    return absl::OkStatus();
  }

  absl::Status ReadCurrency(const Json& value) {
    MOESAIC_ASSIGN_OR_RETURN(list.currency_, ReadText("currency", value));
    const bool is_code = list.currency_.size() == 3 &&
                         std::all_of(list.currency_.begin(), list.currency_.end(), [](char c) {
                           return absl::ascii_isupper(static_cast<unsigned char>(c));
                         });
    return is_code ? absl::OkStatus() : Wrong("currency", "must be an ISO 4217 code such as USD");
  }

  absl::Status ReadNodes(const Json& value) {
    if (!value.is_object()) return Wrong("node_types", "must be an object");
    if (value.size() > kMaxNodeTypes) {
      return Wrong("node_types", absl::StrCat("at most ", kMaxNodeTypes, " types"));
    }
    for (const auto& [name, node] : value.items()) {
      if (name.empty() || name.size() > kMaxNameLength) {
        return Wrong("node_types", absl::StrCat("a type has a name of 1 to ", kMaxNameLength,
                                                " characters, not '", name.substr(0, 64), "'"));
      }
      MOESAIC_ASSIGN_OR_RETURN(list.nodes_[name], ReadNode("node_types." + name, node));
    }
    return absl::OkStatus();
  }
};

absl::StatusOr<PriceList> PriceList::Parse(std::string_view json) {
  if (json.size() > kMaxBytes) {
    return absl::InvalidArgumentError(absl::StrCat("larger than ", kMaxBytes, " bytes"));
  }
  MOESAIC_ASSIGN_OR_RETURN(const Json root, ParseObject(json));
  PriceList list;
  Reader reader{list};
  for (const auto& [key, value] : root.items()) {
    MOESAIC_RETURN_IF_ERROR(reader.ReadKey(key, value));
  }
  for (const char* key : {"currency", "node_types"}) {
    if (!root.contains(key)) return Wrong(key, "is missing");
  }
  return list;
}

const NodePrice* PriceList::FindType(std::string_view node_type) const {
  const auto found = nodes_.find(std::string(node_type));
  return found != nodes_.end() ? &found->second : nullptr;
}

std::optional<double> PriceList::Lookup(std::string_view node_type,
                                        std::string_view capacity_type) const {
  const NodePrice* node = FindType(node_type);
  if (node == nullptr) return std::nullopt;
  if (capacity_type.empty() || capacity_type == kOnDemand) return node->on_demand_per_hour;
  if (capacity_type == kSpot) return node->spot_per_hour;
  return std::nullopt;
}

std::optional<double> PriceList::PerSecond(const NodeShare& node) const {
  const std::optional<double> per_hour = Lookup(node.price_class, node.capacity_type);
  if (!per_hour) return std::nullopt;
  return *per_hour * node.share / 3600;
}

absl::StatusOr<std::unique_ptr<PriceListFile>> PriceListFile::Open(std::string path,
                                                                   const base::Clock& clock) {
  std::unique_ptr<PriceListFile> file(new PriceListFile(std::move(path), clock));
  // Taken first: a change while it is read is seen at the next look.
  const Stamp stamp = StampOf(file->path_);
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file->path_, kMaxBytes));
  absl::StatusOr<PriceList> list = PriceList::Parse(text);
  if (!list.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("price list ", file->path_, ": ", list.status().message()));
  }
  base::MutexLock lock(file->mutex_);
  file->stamp_ = stamp;
  file->looked_at_ = clock.Monotonic();
  file->list_ = std::make_shared<const PriceList>(*std::move(list));
  return file;
}

PriceListFile::Stamp PriceListFile::StampOf(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return {};
  return {info.st_ino, info.st_size,
          std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

std::shared_ptr<const PriceList> PriceListFile::Get() {
  bool look = false;
  const absl::Duration now = clock_.Monotonic();
  {
    base::MutexLock lock(mutex_);
    look = now - looked_at_ >= kLookEvery;
    if (look) looked_at_ = now;  // one caller looks
  }
  if (look) Reload();
  base::MutexLock lock(mutex_);
  return list_;
}

void PriceListFile::Reload() {
  const Stamp stamp = StampOf(path_);
  {
    base::MutexLock lock(mutex_);
    if (stamp == stamp_) return;
    stamp_ = stamp;
  }
  absl::StatusOr<std::string> text = base::ReadFile(path_, kMaxBytes);
  absl::StatusOr<PriceList> list = text.ok() ? PriceList::Parse(*text) : text.status();
  if (!list.ok()) {
    return base::LogWarning("price list ", path_, " stays as it was: ", list.status().message());
  }
  base::LogInfo("price list ", path_, " has changed");
  auto shared = std::make_shared<const PriceList>(*std::move(list));
  base::MutexLock lock(mutex_);
  list_ = std::move(shared);
}

}  // namespace moesaic::monitoring
