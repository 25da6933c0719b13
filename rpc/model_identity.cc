#include "rpc/model_identity.h"

#include "absl/strings/str_cat.h"

namespace moesaic::rpc {
namespace {

absl::Status Differ(const char* field, const std::string& ours, const std::string& theirs) {
  return absl::FailedPreconditionError(
      absl::StrCat(field, " differs: ours is '", ours, "', theirs is '", theirs, "'"));
}

}  // namespace

ModelIdentity IdentityFromProto(const v1::ModelIdentity& proto) {
  return {.model_id = proto.model_id(),
          .model_fingerprint = proto.model_fingerprint(),
          .numerics_id = proto.numerics_id(),
          .hidden_size = proto.hidden_size(),
          .unit_size = proto.unit_size()};
}

v1::ModelIdentity IdentityToProto(const ModelIdentity& identity) {
  v1::ModelIdentity proto;
  proto.set_model_id(identity.model_id);
  proto.set_model_fingerprint(identity.model_fingerprint);
  proto.set_numerics_id(identity.numerics_id);
  proto.set_hidden_size(identity.hidden_size);
  proto.set_unit_size(identity.unit_size);
  return proto;
}

absl::Status CheckSameModel(const ModelIdentity& ours, const ModelIdentity& theirs) {
  if (ours.model_fingerprint != theirs.model_fingerprint) {
    return Differ("model_fingerprint", ours.model_fingerprint, theirs.model_fingerprint);
  }
  // Named before the numerics id, which they are part of: they say more to a reader.
  if (ours.unit_size != theirs.unit_size) {
    return Differ("unit_size", absl::StrCat(ours.unit_size), absl::StrCat(theirs.unit_size));
  }
  if (ours.hidden_size != theirs.hidden_size) {
    return Differ("hidden_size", absl::StrCat(ours.hidden_size), absl::StrCat(theirs.hidden_size));
  }
  if (ours.numerics_id != theirs.numerics_id) {
    return Differ("numerics_id", ours.numerics_id, theirs.numerics_id);
  }
  return absl::OkStatus();
}

}  // namespace moesaic::rpc
