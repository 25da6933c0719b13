#include "model/split_behavior.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::model {
namespace {

/// Runs of equal kind become one piece. The text before the first segment counts as no match, so a
/// leading gap starts the first run as well as anything else.
std::vector<Span> JoinRuns(const std::vector<Segment>& segments) {
  std::vector<Span> joined;
  bool previous_match = false;
  for (const Segment& segment : segments) {
    if (segment.is_match == previous_match && !joined.empty()) {
      joined.back().end = segment.span.end;
    } else {
      joined.push_back(segment.span);
    }
    previous_match = segment.is_match;
  }
  return joined;
}

/// A match joins what stands before it unless that is itself a match.
std::vector<Span> JoinPrevious(const std::vector<Segment>& segments) {
  std::vector<Span> joined;
  bool previous_match = false;
  for (const Segment& segment : segments) {
    if (segment.is_match && !previous_match && !joined.empty()) {
      joined.back().end = segment.span.end;
    } else {
      joined.push_back(segment.span);
    }
    previous_match = segment.is_match;
  }
  return joined;
}

/// The mirror image of JoinPrevious.
std::vector<Span> JoinNext(const std::vector<Segment>& segments) {
  std::vector<Span> joined;
  bool next_match = false;
  for (auto it = segments.rbegin(); it != segments.rend(); ++it) {
    if (it->is_match && !next_match && !joined.empty()) {
      joined.back().begin = it->span.begin;
    } else {
      joined.push_back(it->span);
    }
    next_match = it->is_match;
  }
  std::reverse(joined.begin(), joined.end());
  return joined;
}

std::vector<Span> Join(const std::vector<Segment>& segments, SplitBehavior behavior) {
  switch (behavior) {
    case SplitBehavior::kContiguous:
      return JoinRuns(segments);
    case SplitBehavior::kMergedWithPrevious:
      return JoinPrevious(segments);
    case SplitBehavior::kMergedWithNext:
      return JoinNext(segments);
    case SplitBehavior::kRemoved:
    case SplitBehavior::kIsolated:
      break;
  }
  std::vector<Span> spans;
  spans.reserve(segments.size());
  for (const Segment& segment : segments) {
    if (behavior == SplitBehavior::kIsolated || !segment.is_match) spans.push_back(segment.span);
  }
  return spans;
}

}  // namespace

absl::StatusOr<SplitBehavior> ParseSplitBehavior(const JsonSpec& spec) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string name, spec.String());
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return spec.Error(absl::StrCat("unknown behavior '", name, "'"));
}

std::vector<Segment> SegmentsFromMatches(const std::vector<Span>& matches, std::size_t size) {
  std::vector<Segment> segments;
  segments.reserve(2 * matches.size() + 1);
  std::size_t at = 0;
  for (const Span& match : matches) {
    if (match.begin != at) segments.push_back({{at, match.begin}, false});
    segments.push_back({match, true});
    at = match.end;
  }
  if (at != size) segments.push_back({{at, size}, false});
  return segments;
}

void AppendSplit(const std::vector<Segment>& segments, SplitBehavior behavior, std::size_t offset,
                 std::vector<Span>& out) {
  for (const Span& span : Join(segments, behavior)) {
    if (span.begin != span.end) out.push_back({span.begin + offset, span.end + offset});
  }
}

}  // namespace moesaic::model
