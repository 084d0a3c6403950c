"""The check of histories sees every kind of damage that a crash could do."""
import unittest

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from check import problems_of
from load import Plan, payloads

WORKFLOW_TASK = ["WORKFLOW_TASK_SCHEDULED", "WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED"]
ACTIVITY = ["ACTIVITY_TASK_STARTED", "ACTIVITY_TASK_COMPLETED"]
SOUND = ["WORKFLOW_EXECUTION_STARTED", *WORKFLOW_TASK, "ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED", "WORKFLOW_EXECUTION_SIGNALED",
         "TIMER_FIRED", *ACTIVITY, *WORKFLOW_TASK, "WORKFLOW_EXECUTION_COMPLETED"]
SIGNAL = 5


def history(types, signal=SIGNAL, result=None):
    events = []
    for place, name in enumerate(types):
        event = HistoryEvent(event_id=place + 1, event_type=EventType.Value("EVENT_TYPE_" + name))
        if name == "WORKFLOW_EXECUTION_SIGNALED":
            event.workflow_execution_signaled_event_attributes.input.CopyFrom(payloads(signal))
        if name == "WORKFLOW_EXECUTION_COMPLETED":
            event.workflow_execution_completed_event_attributes.result.CopyFrom(payloads(result or plan().result))
        events.append(event)
    return events


def plan():
    return Plan("one", activities=1, timers=[10], signals=[SIGNAL], run_id="r", acknowledged=[SIGNAL])


class Damage(unittest.TestCase):
    def see(self, events, *words):
        problems = " ".join(problems_of(plan(), events))
        for word in words:
            self.assertIn(word, problems)
        self.assertTrue(problems)

    def test_sound(self):
        self.assertEqual(list(problems_of(plan(), history(SOUND))), [])

    def test_gap(self):
        events = history(SOUND)
        del events[4]
        self.see(events, "event ids")

    def test_two_closes(self):
        self.see(history([*SOUND, "WORKFLOW_EXECUTION_TERMINATED"]), "closes")
        self.see(history([*SOUND, "WORKFLOW_EXECUTION_COMPLETED"]), "closes")

    def test_not_closed(self):
        self.see(history(SOUND[:-1]), "closes")

    def test_event_after_the_close(self):
        self.see(history([*SOUND, "WORKFLOW_EXECUTION_SIGNALED"]), "ends with")

    def test_signal(self):
        self.see(history([one for one in SOUND if one != "WORKFLOW_EXECUTION_SIGNALED"]), "signals []")
        self.see(history(SOUND[:7] + SOUND[6:]), "signals [5, 5]")
        self.see(history(SOUND, signal=6), "signals [6]")

    def test_result(self):
        self.see(history(SOUND, result=99), "result 99")

    def test_ended_twice(self):
        for place, word in ((7, "TIMER"), (9, "ACTIVITY"), (12, "WORKFLOW_TASK")):
            self.see(history(SOUND[:place + 1] + SOUND[place:]), word)
