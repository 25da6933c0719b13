#define PCRE2_CODE_UNIT_WIDTH 8

#include "model/regex.h"

#include <pcre2.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kMaxPatternBytes = std::size_t{1} << 16;
// Work allowed for one match. A split pattern needs a few steps per character of the match; this
// leaves a megabyte-long match room and stops exponential ones within about a second.
constexpr std::uint32_t kMatchLimit = 50'000'000;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;

PCRE2_SPTR8 Bytes(std::string_view text) {
  return reinterpret_cast<PCRE2_SPTR8>(text.data() == nullptr ? "" : text.data());
}

struct CompileContextDeleter {
  void operator()(pcre2_compile_context_8* context) const { pcre2_compile_context_free_8(context); }
};

std::string ErrorText(int code) {
  PCRE2_UCHAR8 buffer[256];
  const int length = pcre2_get_error_message_8(code, buffer, sizeof(buffer));
  return length < 0 ? absl::StrCat("PCRE2 error ", code)
                    : std::string(reinterpret_cast<const char*>(buffer), length);
}

}  // namespace

struct Regex::Code {
  explicit Code(pcre2_code_8* c) : code(c) {}
  ~Code() { pcre2_code_free_8(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;

  pcre2_code_8* code;
};

struct Regex::Matcher::Memory {
  explicit Memory(const pcre2_code_8* code)
      : data(pcre2_match_data_create_from_pattern_8(code, nullptr)),
        context(pcre2_match_context_create_8(nullptr)) {
    MOESAIC_CHECK(data != nullptr && context != nullptr);
    pcre2_set_match_limit_8(context, kMatchLimit);
    pcre2_set_heap_limit_8(context, kHeapLimitKib);
  }
  ~Memory() {
    pcre2_match_context_free_8(context);
    pcre2_match_data_free_8(data);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  pcre2_match_data_8* data;
  pcre2_match_context_8* context;
};

absl::StatusOr<Regex> Regex::Compile(std::string_view pattern) {
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError("regular expression is longer than 64 KiB");
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::string translated, TranslateOniguruma(pattern));
  const std::unique_ptr<pcre2_compile_context_8, CompileContextDeleter> context(
      pcre2_compile_context_create_8(nullptr));
  MOESAIC_CHECK(context != nullptr);
  pcre2_set_newline_8(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Oniguruma's default (Ruby) syntax always anchors ^ and $ at lines.
  pcre2_code_8* code =
      pcre2_compile_8(Bytes(translated), translated.size(),
                      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
                      &offset, context.get());
  if (code == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("regular expression: ", ErrorText(error), " at offset ", offset));
  }
  // Without JIT support (or when it cannot take this pattern) the interpreter matches the same.
  pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE);
  return Regex(std::make_shared<const Code>(code));
}

absl::StatusOr<Regex> Regex::Literal(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    const bool plain = static_cast<unsigned char>(c) >= 0x80 || (c >= '0' && c <= '9') ||
                       (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == ' ' || c == '_';
    if (plain) {
      pattern.push_back(c);
    } else {
      absl::StrAppend(&pattern, "\\x{", absl::Hex(static_cast<unsigned char>(c)), "}");
    }
  }
  return Compile(pattern);
}

Regex::Matcher::Matcher(const Regex& regex)
    : regex_(regex), memory_(std::make_unique<Memory>(regex.code_->code)) {}

Regex::Matcher::~Matcher() = default;

absl::Status Regex::Matcher::FindAll(std::string_view text, std::vector<Span>& matches) {
  matches.clear();
  const PCRE2_SIZE* found = pcre2_get_ovector_pointer_8(memory_->data);
  std::size_t at = 0;
  while (at <= text.size()) {
    const auto match = [&](std::uint32_t options) {
      return pcre2_match_8(regex_.code_->code, Bytes(text), text.size(), at,
                           PCRE2_NO_UTF_CHECK | options, memory_->data, memory_->context);
    };
    int result = match(0);
    // The interpreter keeps its stack on the heap and can go deeper.
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(PCRE2_NO_JIT);
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) {
      return absl::ResourceExhaustedError(absl::StrCat("regular expression: ", ErrorText(result),
                                                       " on a text of ", text.size(), " bytes"));
    }
    const Span span{found[0], found[1]};
    // \K can put the start anywhere; it has no place in a split pattern.
    if (span.begin < at || span.end < span.begin) {
      return absl::InvalidArgumentError("regular expression: match starts before its search");
    }
    if (span.begin == span.end && !matches.empty() && matches.back().end == span.end) {
      if (at == text.size()) break;
      NextChar(text, at);
      continue;
    }
    matches.push_back(span);
    at = span.end;
  }
  return absl::OkStatus();
}

}  // namespace moesaic::model
