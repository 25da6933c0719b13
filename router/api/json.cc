#include "router/api/json.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/utf8.h"

namespace moesaic::router {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxValues = 2'000'000;
constexpr std::size_t kMaxKeys = 100'000;
constexpr std::size_t kMaxKeysPerObject = 1024;

/// Counts what a parser would build, without building it. Text that is no JSON is counted somehow
/// and refused by the parser later.
class BoundsScan {
 public:
  absl::Status Check(std::string_view body) {
    for (std::size_t i = 0; i < body.size(); ++i) {
      switch (body[i]) {
        case '"':
          i = EndOfString(body, i);
          break;
        case '{':
        case '[':
          if (++depth_ > kMaxDepth) return TooLarge("is nested deeper than ", kMaxDepth);
          keys_at_[depth_] = 0;
          ++values_;
          break;
        case '}':
        case ']':
          if (depth_ > 0) --depth_;
          break;
        case ',':
          ++values_;
          break;
        case ':':
          ++keys_;
          if (++keys_at_[depth_] > kMaxKeysPerObject) {
            return TooLarge("has an object with more keys than ", kMaxKeysPerObject);
          }
          break;
        default:
          break;
      }
      if (values_ > kMaxValues) return TooLarge("has more values than ", kMaxValues);
      if (keys_ > kMaxKeys) return TooLarge("has more object keys than ", kMaxKeys);
    }
    return absl::OkStatus();
  }

 private:
  static std::size_t EndOfString(std::string_view body, std::size_t i) {
    for (++i; i < body.size() && body[i] != '"'; ++i) {
      if (body[i] == '\\') ++i;
    }
    return i;
  }

  static absl::Status TooLarge(absl::string_view what, std::size_t bound) {
    return absl::InvalidArgumentError(absl::StrCat("the body ", what, bound));
  }

  std::size_t depth_ = 0;
  std::size_t values_ = 0;
  std::size_t keys_ = 0;
  std::array<std::size_t, kMaxDepth + 1> keys_at_{};
};

}  // namespace

absl::StatusOr<Json> ParseRequestBody(std::string_view body) {
  if (!model::IsValidUtf8(body)) {
    return absl::InvalidArgumentError("the body is not valid UTF-8");
  }
  MOESAIC_RETURN_IF_ERROR(BoundsScan().Check(body));
  try {
    Json json = Json::parse(body);
    if (!json.is_object()) return absl::InvalidArgumentError("the body is not a JSON object");
    return json;
  } catch (const Json::parse_error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body is not valid JSON: error at byte ", error.byte));
  } catch (const Json::exception&) {
    return absl::InvalidArgumentError("the body is not valid JSON: a number is out of range");
  }
}

std::string Print(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json LogprobJson(float logprob) {
  constexpr float kLowest = -9999.0f;
  return static_cast<double>(std::isnan(logprob) ? kLowest : std::max(logprob, kLowest));
}

}  // namespace moesaic::router
