#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "http/message.h"

namespace moesaic::http {

/// The one mapping of absl::Status to HTTP and to OpenAI's error object
/// {"error": {message, type, param, code}}.
///
///   InvalidArgument, OutOfRange 400 · Unauthenticated 401 · PermissionDenied 403 · NotFound 404 ·
///   AlreadyExists, Aborted 409 · ResourceExhausted 429 · Cancelled 499 · Unimplemented 501 ·
///   Unavailable, FailedPrecondition 503 · DeadlineExceeded 504 · everything else 500
int HttpStatusOf(const absl::Status& status);

/// Payloads an error may carry on its way to the client. Each returns the status with it attached.
absl::Status WithErrorCode(absl::Status status, std::string_view code);
absl::Status WithParam(absl::Status status, std::string_view param);
/// Answers with this HTTP status instead of the one mapped (413, 405, …).
absl::Status WithHttpStatus(absl::Status status, int http_status);

/// What such a payload says, if it is there.
std::string ErrorCodeOf(const absl::Status& status);
std::string ParamOf(const absl::Status& status);

/// The error object as JSON text, on one line.
std::string ErrorJson(const absl::Status& status);
/// The whole answer, with Retry-After and retry-after-ms when the status carries a delay (429 and
/// 503 get one second when it does not). Internal errors keep their message: it names objects,
/// never prompt text.
Response ErrorResponse(const absl::Status& status);

}  // namespace moesaic::http
