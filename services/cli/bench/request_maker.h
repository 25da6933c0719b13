#pragma once

#include <cstdint>
#include <string>

#include "services/cli/bench/length_distribution.h"
#include "services/cli/bench/target.h"

namespace moesaic::services {

/// A request to send. Plain value.
struct BenchRequest {
  std::string body;
  std::int64_t prompt_tokens = 0;  ///< As far as they can be made to order.
  std::int64_t output_tokens = 0;
};

/// Makes requests of random lengths and prompts. The same seed and number give the same request.
/// Immutable.
class RequestMaker {
 public:
  struct Options {
    LengthDistribution prompt;
    LengthDistribution output;
    std::int64_t shared_prefix = 0;  ///< Tokens at the start that all prompts have in common.
    bool ignore_eos = true;          ///< Asks for all of the answer's tokens.
    std::uint64_t seed = 1;
  };

  /// Borrows the target.
  RequestMaker(const BenchTarget& target, Options options);

  BenchRequest Make(std::uint64_t number) const;

 private:
  std::string Ids(std::int64_t tokens, std::uint64_t number) const;
  std::string Text(std::int64_t tokens, std::uint64_t number) const;

  const BenchTarget& target_;
  const Options options_;
  std::string before_prompt_;  // of the body
  std::string after_prompt_;
};

}  // namespace moesaic::services
