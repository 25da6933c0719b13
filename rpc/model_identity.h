#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "proto/moesaic/v1/common.pb.h"

namespace moesaic::rpc {

/// What must agree before two processes may compute one model together. Immutable value.
struct ModelIdentity {
  std::string model_id;           ///< Name it is served under; may differ between processes.
  std::string model_fingerprint;  ///< Hex SHA-256 of the checkpoint's contents (sampled).
  std::string numerics_id;        ///< Hex hash of everything that decides result bits.
  std::uint32_t hidden_size = 0;  ///< Elements of an activation row.
  std::uint32_t unit_size = 0;    ///< Experts per unit.

  bool operator==(const ModelIdentity&) const = default;
};

ModelIdentity IdentityFromProto(const v1::ModelIdentity& proto);
v1::ModelIdentity IdentityToProto(const ModelIdentity& identity);

/// OK when `theirs` may compute together with `ours`; model_id is not compared.
/// Errors: FailedPrecondition naming the first differing field and both values.
absl::Status CheckSameModel(const ModelIdentity& ours, const ModelIdentity& theirs);

}  // namespace moesaic::rpc
