"""What a history must look like after any number of crashes."""
from temporalio.api.enums.v1 import EventType

from load import number_of


def problems_of(plan, events):
    """What is wrong with the history of an acknowledged workflow."""
    name = {number: text.removeprefix("EVENT_TYPE_") for text, number in EventType.items()}
    types = [name[event.event_type] for event in events]
    if [event.event_id for event in events] != list(range(1, len(events) + 1)):
        yield f"event ids {[event.event_id for event in events]}"
    closes = [one for one in types if one.startswith("WORKFLOW_EXECUTION_") and not one.endswith(("_STARTED", "_SIGNALED"))]
    if closes != ["WORKFLOW_EXECUTION_COMPLETED"] or types[-1] != closes[0]:
        yield f"closes {closes}, ends with {types[-1]}"
        return
    result = number_of(events[-1].workflow_execution_completed_event_attributes.result)
    if result != plan.result:
        yield f"result {result}, expected {plan.result}"
    signals = [number_of(event.workflow_execution_signaled_event_attributes.input) for event in events
               if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED]
    if sorted(signals) != sorted(plan.acknowledged):
        yield f"signals {signals}, acknowledged {plan.acknowledged}"
    for begin, *ends in (("ACTIVITY_TASK_SCHEDULED", "ACTIVITY_TASK_COMPLETED"), ("TIMER_STARTED", "TIMER_FIRED"),
                         ("WORKFLOW_TASK_STARTED", "WORKFLOW_TASK_COMPLETED", "WORKFLOW_TASK_FAILED", "WORKFLOW_TASK_TIMED_OUT")):
        begun, ended = types.count(begin), sum(types.count(end) for end in ends)
        if begun != ended:
            yield f"{begun} × {begin} but {ended} ends"
