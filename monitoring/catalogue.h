#pragma once

/// Every metric of Moesaic: names, labels, help and buckets, in one place. Base units in names,
/// `_total` on counters, no unbounded label.
#include "monitoring/catalogue/cost.h"
#include "monitoring/catalogue/dispatch.h"
#include "monitoring/catalogue/front.h"
#include "monitoring/catalogue/metric_def.h"
#include "monitoring/catalogue/placement.h"
#include "monitoring/catalogue/process.h"
#include "monitoring/catalogue/scheduler.h"
#include "monitoring/catalogue/shard.h"
