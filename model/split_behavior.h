#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/json_spec.h"
#include "model/regex.h"

namespace moesaic::model {

/// What becomes of the delimiters a splitting step finds.
enum class SplitBehavior : std::uint8_t {
  kRemoved,
  kIsolated,
  kMergedWithPrevious,
  kMergedWithNext,
  kContiguous,
};

/// A part of a piece: a delimiter or what lies between delimiters.
struct Segment {
  Span span;
  bool is_match = false;
};

/// Parses "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext" or "Contiguous".
absl::StatusOr<SplitBehavior> ParseSplitBehavior(const JsonSpec& spec);

/// Covers [0, size) by the matches and the gaps between them.
std::vector<Segment> SegmentsFromMatches(const std::vector<Span>& matches, std::size_t size);

/// Joins `segments` as `behavior` says and appends the non-empty results, moved by `offset`.
void AppendSplit(const std::vector<Segment>& segments, SplitBehavior behavior, std::size_t offset,
                 std::vector<Span>& out);

}  // namespace moesaic::model
