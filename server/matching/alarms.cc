#include "server/matching/alarms.h"

namespace perdure::matching {

void Alarms::put(std::size_t place, Alarm* alarm) {
  heap_[place] = alarm;
  alarm->place_ = place;
}

void Alarms::up(std::size_t place) {
  Alarm* const alarm = heap_[place];
  while (place > 0 && before(alarm, heap_[(place - 1) / 2])) {
    put(place, heap_[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  put(place, alarm);
}

void Alarms::down(std::size_t place) {
  Alarm* const alarm = heap_[place];
  for (;;) {
    std::size_t child = 2 * place + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && before(heap_[child + 1], heap_[child])) ++child;
    if (!before(heap_[child], alarm)) break;
    put(place, heap_[child]);
    place = child;
  }
  put(place, alarm);
}

void Alarms::set(Alarm& alarm, base::Time when) {
  cancel(alarm);
  alarm.when_ = when;
  alarm.serial_ = ++last_serial_;
  heap_.push_back(&alarm);
  up(heap_.size() - 1);
}

void Alarms::cancel(Alarm& alarm) {
  if (!alarm.set()) return;
  const std::size_t place = alarm.place_;
  Alarm* const last = heap_.back();
  heap_.pop_back();
  alarm.place_ = Alarm::kUnset;
  if (last == &alarm) return;
  put(place, last);
  up(place);
  down(last->place_);
}

Alarm* Alarms::pop_due(base::Time now) {
  if (next() > now || heap_.empty()) return nullptr;
  Alarm* const first = heap_.front();
  cancel(*first);
  return first;
}

}  // namespace perdure::matching
