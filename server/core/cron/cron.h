// Cron schedules of workflows (TM-04): five fields, @every and its like, an optional CRON_TZ= or TZ= in front.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace perdure::core {

// The first tick after `after`. INVALID_ARGUMENT says what is wrong with the schedule.
base::Result<base::Time> next_cron_time(std::string_view schedule, base::Time after);

}  // namespace perdure::core
