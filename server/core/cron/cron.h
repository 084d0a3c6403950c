// Cron schedules of workflows (TM-04): five fields with names, ranges, lists and steps; @hourly and its kin;
// @every DURATION; in UTC or, after CRON_TZ=ZONE or TZ=ZONE, in a time zone of the system's database.
//
// Times are those whole minutes whose local wall clock matches: a local time that a clock change skips does
// not come, one that it repeats comes twice. When day of month and day of week are both restricted, either
// suffices.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace perdure::core {

// The first time of the schedule after `after`. INVALID_ARGUMENT `invalid CronSchedule.` when the schedule
// cannot be read, or has no time within five years.
base::Result<base::Time> next_cron_time(std::string_view schedule, base::Time after);

}  // namespace perdure::core
