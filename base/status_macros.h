#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

/// Returns from the enclosing function when `expr` is not OK.
#define MOESAIC_RETURN_IF_ERROR(expr)                                                         \
  do {                                                                                        \
    if (absl::Status moesaic_status_ = (expr); !moesaic_status_.ok()) return moesaic_status_; \
  } while (false)

#define MOESAIC_STATUS_CONCAT_INNER_(a, b) a##b
#define MOESAIC_STATUS_CONCAT_(a, b) MOESAIC_STATUS_CONCAT_INNER_(a, b)

/// `MOESAIC_ASSIGN_OR_RETURN(auto x, F())`: x = *F(), or returns F()'s error.
#define MOESAIC_ASSIGN_OR_RETURN(lhs, expr) \
  MOESAIC_ASSIGN_OR_RETURN_IMPL_(MOESAIC_STATUS_CONCAT_(moesaic_statusor_, __LINE__), lhs, expr)

#define MOESAIC_ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                                   \
  if (!statusor.ok()) return std::move(statusor).status();  \
  lhs = *std::move(statusor)
