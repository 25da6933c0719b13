#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "model/json_spec.h"
#include "model/token_decoder.h"

namespace moesaic::model {

class DecoderStage;
using DecoderStages = std::vector<std::shared_ptr<const DecoderStage>>;

/// Where a stage sends its pieces: the next stage, or the final text after the last one. A piece is
/// a series of Text calls closed by EndPiece; EndSequence comes once, after the last piece.
/// Single-thread, lives for one call.
class DecoderOutput {
 public:
  DecoderOutput(const DecoderStages& stages, TokenDecoder::State& state, std::size_t next,
                std::string& out)
      : stages_(stages), state_(state), next_(next), out_(out) {}

  /// `text` holds whole characters.
  void Text(std::string_view text);
  void EndPiece();
  void EndSequence();
  /// A piece of its own.
  void Piece(std::string_view text) {
    Text(text);
    EndPiece();
  }

 private:
  const DecoderStages& stages_;
  TokenDecoder::State& state_;
  std::size_t next_;
  std::string& out_;
};

/// One decoder, rewriting a list of pieces. Immutable and thread-safe.
class DecoderStage {
 public:
  virtual ~DecoderStage() = default;
  virtual void Text(std::string_view text, DecoderStageState& state, DecoderOutput& out) const = 0;
  virtual void EndPiece(DecoderStageState& state, DecoderOutput& out) const = 0;
  virtual void EndSequence(DecoderStageState& state, DecoderOutput& out) const = 0;
};

/// Appends the stages that a decoder of tokenizer.json stands for.
absl::Status AppendDecoderStages(const JsonSpec& spec, int depth, DecoderStages& stages);
/// What stands for a missing decoder: a space before every piece but the first.
std::shared_ptr<const DecoderStage> MakeSpaceJoin();

}  // namespace moesaic::model
