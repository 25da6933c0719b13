#include "rpc/status_map.h"

#include <optional>
#include <string>

#include "base/retry_delay.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/unknown_field_set.h"

namespace moesaic::rpc {
namespace {

/// The type URL of google.rpc.RetryInfo.
constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";

// Field numbers of google/rpc/status.proto and error_details.proto, which Debian does not package.
constexpr int kStatusCode = 1;
constexpr int kStatusMessage = 2;
constexpr int kStatusDetails = 3;
constexpr int kRetryInfoDelay = 1;

using google::protobuf::UnknownFieldSet;

std::string SerializeRetryInfo(absl::Duration delay) {
  google::protobuf::Duration proto;
  proto.set_seconds(absl::IDivDuration(delay, absl::Seconds(1), &delay));
  proto.set_nanos(static_cast<int>(absl::ToInt64Nanoseconds(delay)));
  UnknownFieldSet retry_info;
  retry_info.AddLengthDelimited(kRetryInfoDelay, proto.SerializeAsString());
  std::string bytes;
  retry_info.SerializeToString(&bytes);
  return bytes;
}

std::optional<absl::Duration> ParseRetryInfo(const std::string& bytes) {
  UnknownFieldSet retry_info;
  if (!retry_info.ParseFromString(bytes)) return std::nullopt;
  for (int i = 0; i < retry_info.field_count(); ++i) {
    const auto& field = retry_info.field(i);
    google::protobuf::Duration proto;
    if (field.number() == kRetryInfoDelay &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
        proto.ParseFromString(field.length_delimited())) {
      return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
    }
  }
  return std::nullopt;
}

/// A serialized google.rpc.Status that carries the retry delay.
std::string SerializeDetails(const absl::Status& status, absl::Duration delay) {
  google::protobuf::Any any;
  any.set_type_url(kRetryInfoUrl);
  any.set_value(SerializeRetryInfo(delay));
  UnknownFieldSet details;
  details.AddVarint(kStatusCode, static_cast<std::uint64_t>(status.code()));
  details.AddLengthDelimited(kStatusMessage, std::string(status.message()));
  details.AddLengthDelimited(kStatusDetails, any.SerializeAsString());
  std::string bytes;
  details.SerializeToString(&bytes);
  return bytes;
}

std::optional<absl::Duration> ParseDetails(const std::string& bytes) {
  UnknownFieldSet details;
  if (!details.ParseFromString(bytes)) return std::nullopt;
  for (int i = 0; i < details.field_count(); ++i) {
    const auto& field = details.field(i);
    google::protobuf::Any any;
    if (field.number() == kStatusDetails &&
        field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
        any.ParseFromString(field.length_delimited()) && any.type_url() == kRetryInfoUrl) {
      return ParseRetryInfo(any.value());
    }
  }
  return std::nullopt;
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  // The canonical codes have the same numbers in both libraries.
  const auto code = static_cast<grpc::StatusCode>(status.code());
  const std::optional<absl::Duration> delay = base::RetryDelay(status);
  return grpc::Status(code, std::string(status.message()),
                      delay ? SerializeDetails(status, *delay) : std::string());
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const int number = status.error_code();
  const auto code = number > 0 && number <= static_cast<int>(absl::StatusCode::kUnauthenticated)
                        ? static_cast<absl::StatusCode>(number)
                        : absl::StatusCode::kUnknown;
  absl::Status mapped(code, status.error_message());
  if (const auto delay = ParseDetails(status.error_details())) {
    return base::WithRetryDelay(std::move(mapped), *delay);
  }
  return mapped;
}

}  // namespace moesaic::rpc
