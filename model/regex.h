#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace moesaic::model {

/// A half-open range of bytes.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const Span&) const = default;
};

/// A compiled Oniguruma-style regular expression of a tokenizer.json, matched by PCRE2 with the
/// same meaning: Unicode classes, line anchors, and Oniguruma's idea of \s, \w and \h. Character
/// classes know code points that were assigned after PCRE2's Unicode tables were made.
/// Immutable and thread-safe; copies share the compiled code.
class Regex {
 public:
  /// Errors: InvalidArgument with PCRE2's message and position; Unimplemented for syntax whose
  /// meaning differs between the libraries (set intersection, nested sets).
  static absl::StatusOr<Regex> Compile(std::string_view pattern);
  /// A regex that matches `text` literally.
  static absl::StatusOr<Regex> Literal(std::string_view text);

  /// Finds successive matches in texts, reusing its working memory. Single-thread; the Regex must
  /// outlive it.
  class Matcher {
   public:
    explicit Matcher(const Regex& regex);
    ~Matcher();
    Matcher(const Matcher&) = delete;
    Matcher& operator=(const Matcher&) = delete;

    /// Overwrites `matches` with the non-overlapping matches in `text` (valid UTF-8), in order. An
    /// empty match directly after a match does not count.
    /// Errors: ResourceExhausted when a match exceeds its limits.
    absl::Status FindAll(std::string_view text, std::vector<Span>& matches);

   private:
    struct Memory;
    const Regex& regex_;
    std::unique_ptr<Memory> memory_;
  };

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

  std::shared_ptr<const Code> code_;
};

/// The PCRE2 spelling of an Oniguruma pattern. Errors: as Regex::Compile.
absl::StatusOr<std::string> TranslateOniguruma(std::string_view pattern);

}  // namespace moesaic::model
