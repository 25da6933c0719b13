#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "nlohmann/json.hpp"

namespace moesaic::model {

namespace jinja {
struct Program;
}  // namespace jinja

/// Bounds and surroundings of one rendering. A template comes from a checkpoint: it is outside
/// input and may loop, recurse or grow without end.
struct RenderOptions {
  /// Statements and expressions evaluated, and elements that filters walk over.
  std::size_t max_steps = 20'000'000;
  /// Nesting of statements, expressions and macro calls.
  std::size_t max_depth = 600;
  /// Bytes of the text and of every string and list made on the way to it.
  std::size_t max_bytes = std::size_t{256} << 20;
  /// What strftime_now reads; null is the machine's clock.
  const base::Clock* clock = nullptr;
};

/// A compiled chat template (Jinja as transformers sets it up: trim_blocks, lstrip_blocks, loop
/// controls, tojson, raise_exception, strftime_now). Immutable and thread-safe.
class ChatTemplate {
 public:
  /// Errors: InvalidArgument with the line of the first mistake.
  static absl::StatusOr<ChatTemplate> Compile(std::string_view source);

  /// Renders with the members of `inputs` (an object) as the variables: messages, tools,
  /// add_generation_prompt, bos_token, eos_token and the caller's further keys. A key that is
  /// absent is undefined, null is none.
  /// Errors: InvalidArgument when the template raises (with its message) or meets values it cannot
  /// use (with the line); ResourceExhausted when a limit is reached.
  absl::StatusOr<std::string> Render(const nlohmann::ordered_json& inputs,
                                     const RenderOptions& options = {}) const;

 private:
  explicit ChatTemplate(std::shared_ptr<const jinja::Program> program);

  std::shared_ptr<const jinja::Program> program_;
};

}  // namespace moesaic::model
