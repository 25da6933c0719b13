#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "model/tokenizer.h"
#include "monitoring/usage_record.h"
#include "router/engine/step_times.h"
#include "router/scheduler/generation.h"

namespace moesaic::router {

/// A finished generation request as the log shows it. Borrows for the call.
struct RequestLogLine {
  std::string_view request_id;
  const monitoring::UsageRecord& usage;
  const absl::Status& status;
  StepTimes steps;          ///< Where the time of its steps went; shared by all in a step.
  std::string_view prompt;  ///< Empty: not logged.
};

/// Writes the one line of a finished generation request, at level info.
void LogRequest(const RequestLogLine& line);

/// The beginning of a generation's prompt, for operators who want prompts in their log.
std::string PromptToLog(const model::Tokenizer& tokenizer, const GenerationRequest& generation);

}  // namespace moesaic::router
