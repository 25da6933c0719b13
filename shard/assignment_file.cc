#include "shard/assignment_file.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::shard {
namespace {

/// 1 M units, the bulk of it digits and commas.
constexpr std::size_t kMaxFileBytes = std::size_t{16} << 20;

}  // namespace

absl::Status SaveAssignment(const std::string& path, const Assignment& assignment) {
  v1::ShardReport report;
  *report.mutable_registration()->mutable_model() = placement::IdentityToProto(assignment.model);
  *report.mutable_epoch() = placement::EpochToProto(assignment.epoch);
  placement::UnitsToProto(assignment.units, *report.mutable_held_units());
  std::string json;
  if (const auto status = google::protobuf::util::MessageToJsonString(report, &json);
      !status.ok()) {
    return absl::InternalError(absl::StrCat(path, ": the assignment cannot be written as JSON"));
  }
  return base::WriteFileAtomically(path, json);
}

absl::StatusOr<Assignment> LoadAssignment(const std::string& path,
                                          const placement::ModelIdentity& model,
                                          const placement::ExpertTopology& topology) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string content, base::ReadFile(path, kMaxFileBytes));
  v1::ShardReport report;
  if (!google::protobuf::util::JsonStringToMessage(content, &report).ok()) {
    return absl::DataLossError(absl::StrCat(path, " is not a remembered assignment"));
  }
  Assignment assignment{.model = placement::IdentityFromProto(report.registration().model()),
                        .epoch = placement::EpochFromProto(report.epoch()),
                        .units = {}};
  if (const absl::Status same = placement::CheckSameModel(model, assignment.model); !same.ok()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": ", same.message()));
  }
  auto units = placement::UnitsFromProto(report.held_units(), topology);
  if (!units.ok()) return absl::DataLossError(absl::StrCat(path, ": ", units.status().message()));
  assignment.units = *std::move(units);
  std::sort(assignment.units.begin(), assignment.units.end());
  return assignment;
}

}  // namespace moesaic::shard
