"""The loan application: one workflow, one activity that calls somebody else's unreliable API."""
import asyncio
import json
import os
import urllib.request
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy

TASK_QUEUE = "loan-application"


@activity.defn(name="NotifyApplicant")
async def notify_applicant(applicant: str) -> str:
    url = os.environ.get("NOTIFICATION_URL", "http://127.0.0.1:8099/notify")
    body = json.dumps({"applicant": applicant}).encode()

    def post():
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=3) as answer:
            return json.load(answer)["notified"]

    return await asyncio.to_thread(post)  # an HTTP error raises, and the server schedules the next attempt


@workflow.defn(name="LoanApplication")
class LoanApplication:
    @workflow.run
    async def run(self, applicant: str) -> str:
        notified = await workflow.execute_activity(
            notify_applicant, applicant, start_to_close_timeout=timedelta(seconds=5),
            retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), backoff_coefficient=1.0))
        return f"loan application of {notified} is complete"
