#include "model/post_processor.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/token_id.h"

namespace moesaic::model {
namespace {

absl::Status AppendIds(const JsonSpec& list, std::vector<std::int32_t>& ids) {
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, list.ArraySize());
  for (std::size_t i = 0; i < count; ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const std::int64_t id, list.At(i).Int(0, kMaxTokenId));
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return absl::OkStatus();
}

/// Appends one item of a template: the sequence, or a token looked up in "special_tokens".
absl::Status AppendTemplateItem(const JsonSpec& item, const JsonSpec& special_tokens,
                                bool& seen_sequence, SequenceFrame& frame) {
  const bool is_sequence = item.Has("Sequence");
  const absl::StatusOr<std::string> name =
      item[is_sequence ? "Sequence" : "SpecialToken"]["id"].String();
  if (!name.ok()) return name.status();
  if (is_sequence) {
    if (*name != "A" || seen_sequence) return item.Error("expected sequence A exactly once");
    seen_sequence = true;
    return absl::OkStatus();
  }
  return AppendIds(special_tokens[*name]["ids"], seen_sequence ? frame.suffix : frame.prefix);
}

absl::StatusOr<SequenceFrame> ParseTemplate(const JsonSpec& spec) {
  const JsonSpec items = spec["single"];
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, items.ArraySize());
  SequenceFrame frame;
  bool seen_sequence = false;
  for (std::size_t i = 0; i < count; ++i) {
    MOESAIC_RETURN_IF_ERROR(
        AppendTemplateItem(items.At(i), spec["special_tokens"], seen_sequence, frame));
  }
  if (!seen_sequence) return items.Error("expected sequence A exactly once");
  return frame;
}

/// Bert and Roberta name their tokens as ["[CLS]", 101].
absl::StatusOr<std::vector<std::int32_t>> ParseNamedToken(const JsonSpec& spec) {
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, spec.ArraySize());
  if (count != 2) return spec.Error("expected [token, id]");
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t id, spec.At(1).Int(0, kMaxTokenId));
  return std::vector<std::int32_t>{static_cast<std::int32_t>(id)};
}

absl::StatusOr<SequenceFrame> Parse(const JsonSpec& spec, int depth);

/// Every processor works on what the one before it made, so later ones go outside.
absl::StatusOr<SequenceFrame> ParseSequence(const JsonSpec& list, int depth) {
  SequenceFrame frame;
  MOESAIC_RETURN_IF_ERROR(
      list.ForEachComponent(depth, [&frame](const JsonSpec& part, int depth) -> absl::Status {
        MOESAIC_ASSIGN_OR_RETURN(const SequenceFrame outer, Parse(part, depth));
        frame.prefix.insert(frame.prefix.begin(), outer.prefix.begin(), outer.prefix.end());
        frame.suffix.insert(frame.suffix.end(), outer.suffix.begin(), outer.suffix.end());
        return absl::OkStatus();
      }));
  return frame;
}

absl::StatusOr<SequenceFrame> ParseType(std::string_view type, const JsonSpec& spec, int depth) {
  if (type == "Sequence") return ParseSequence(spec["processors"], depth);
  if (type == "TemplateProcessing") return ParseTemplate(spec);
  // Works on offsets only.
  if (type == "ByteLevel") return SequenceFrame();
  if (type == "BertProcessing" || type == "RobertaProcessing") {
    SequenceFrame frame;
    MOESAIC_ASSIGN_OR_RETURN(frame.prefix, ParseNamedToken(spec["cls"]));
    MOESAIC_ASSIGN_OR_RETURN(frame.suffix, ParseNamedToken(spec["sep"]));
    return frame;
  }
  return spec["type"].UnknownType(type);
}

absl::StatusOr<SequenceFrame> Parse(const JsonSpec& spec, int depth) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string type, spec.Type());
  return ParseType(type, spec, depth);
}

}  // namespace

absl::StatusOr<SequenceFrame> ParsePostProcessor(const JsonSpec& spec) {
  if (spec.is_null()) return SequenceFrame();
  return Parse(spec, 0);
}

}  // namespace moesaic::model
