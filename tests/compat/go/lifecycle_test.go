package compat

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

type start = client.StartWorkflowOptions

func Sleeps(ctx workflow.Context, duration time.Duration) (string, error) {
	timer := workflow.NewTimerWithOptions(ctx, duration, workflow.TimerOptions{Summary: "the only timer"})
	return "slept", timer.Get(ctx, nil)
}

var _ = scenario("long_poll_result", func(t *trial) {
	t.worker([]any{Sleeps}, nil)
	run := t.start(t.options(), Sleeps, time.Second)
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			var answer string
			if err := t.client.GetWorkflow(t.ctx, run.GetID(), "").Get(t.ctx, &answer); err != nil || answer != "slept" {
				t.Errorf("%q, %v", answer, err)
			}
		})
	}
	clients.Wait()
})

func Fails(workflow.Context) error {
	return temporal.NewApplicationError("not today", "Refused", 1, "two")
}

var _ = scenario("workflow_fails", func(t *trial) {
	t.worker([]any{Fails}, nil)
	cause := fails[*temporal.ApplicationError](t, t.start(t.options(), Fails).Get(t.ctx, nil))
	t.equal([]string{cause.Message(), cause.Type()}, []string{"not today", "Refused"})
	var number int
	var word string
	t.must(cause.Details(&number, &word))
	t.equal([]any{number, word}, []any{1, "two"})
})

// asleep starts a workflow that sleeps for an hour and returns when it does.
func (t *trial) asleep(change ...func(*start)) client.WorkflowRun {
	t.Helper()
	t.worker([]any{Sleeps}, nil)
	run := t.start(t.options(change...), Sleeps, time.Hour)
	t.waitFor(run, "TimerStarted")
	return run
}

var _ = scenario("cancel_workflow", func(t *trial) {
	run := t.asleep()
	t.must(t.client.CancelWorkflow(t.ctx, run.GetID(), ""))
	fails[*temporal.CanceledError](t, run.Get(t.ctx, nil))
	description, err := t.client.DescribeWorkflowExecution(t.ctx, run.GetID(), run.GetRunID())
	t.must(err)
	t.equal(description.GetWorkflowExecutionInfo().GetStatus(), enumspb.WORKFLOW_EXECUTION_STATUS_CANCELED)
})

func StartsCanceled(ctx workflow.Context) error { return workflow.Sleep(ctx, time.Hour) }

var _ = scenario("cancel_before", func(t *trial) {
	run := t.start(t.options(), StartsCanceled)
	t.must(t.client.CancelWorkflow(t.ctx, run.GetID(), ""))
	t.must(t.client.CancelWorkflow(t.ctx, run.GetID(), "")) // a second request changes nothing
	t.worker([]any{StartsCanceled}, nil)
	fails[*temporal.CanceledError](t, run.Get(t.ctx, nil))
})

func CleansUp(ctx workflow.Context) (string, error) {
	if !temporal.IsCanceledError(workflow.Sleep(ctx, time.Hour)) {
		return "not canceled", nil
	}
	var answer string
	apart, _ := workflow.NewDisconnectedContext(ctx)
	err := workflow.ExecuteActivity(withOptions(apart, short, 0), "work").Get(apart, &answer)
	return answer, err
}

var _ = scenario("cancel_cleanup", func(t *trial) {
	t.worker([]any{CleansUp}, activities{"work": func() (string, error) { return "clean", nil }})
	run := t.start(t.options(), CleansUp)
	t.waitFor(run, "TimerStarted")
	t.must(t.client.CancelWorkflow(t.ctx, run.GetID(), ""))
	t.equal(result[string](t, run), "clean")
})

func CancelsOther(ctx workflow.Context, other string) error {
	return workflow.RequestCancelExternalWorkflow(ctx, other, "").Get(ctx, nil)
}

var _ = scenario("cancel_external", func(t *trial) {
	t.worker([]any{CancelsOther, Sleeps}, nil)
	other, err := t.client.ExecuteWorkflow(t.ctx, t.options(func(one *start) { one.ID = t.id("other") }), Sleeps, time.Hour)
	t.must(err)
	t.waitFor(other, "TimerStarted")
	t.must(t.start(t.options(), CancelsOther, other.GetID()).Get(t.ctx, nil))
	t.verifyAtEnd(other)
	fails[*temporal.CanceledError](t, other.Get(t.ctx, nil))
})

var _ = scenario("terminate", func(t *trial) {
	run := t.asleep()
	t.must(t.client.TerminateWorkflow(t.ctx, run.GetID(), "", "enough", "details"))
	fails[*temporal.TerminatedError](t, run.Get(t.ctx, nil))
	fails[*serviceerror.NotFound](t, t.client.TerminateWorkflow(t.ctx, run.GetID(), "", "again"))
	reason := t.eventOf(run, "WorkflowExecutionTerminated").GetWorkflowExecutionTerminatedEventAttributes().GetReason()
	t.equal(reason, "enough")
})

var _ = scenario("run_timeout", func(t *trial) {
	run := t.asleep(func(one *start) { one.WorkflowRunTimeout = 2 * time.Second })
	fails[*temporal.TimeoutError](t, run.Get(t.ctx, nil))
})

func FailsOnce(ctx workflow.Context) (string, error) {
	attempt := workflow.GetInfo(ctx).Attempt
	if attempt == 1 {
		return "", errors.New("the first run fails")
	}
	return fmt.Sprintf("run %d", attempt), nil
}

var _ = scenario("workflow_retry", func(t *trial) {
	t.worker([]any{FailsOnce}, nil)
	policy := &temporal.RetryPolicy{InitialInterval: short, MaximumAttempts: 3}
	t.equal(result[string](t, t.start(t.options(func(one *start) { one.RetryPolicy = policy }), FailsOnce)), "run 2")
})

// again starts once more under the scenario's id and returns the error.
func (t *trial) again(workflow, argument any, change func(*start)) (client.WorkflowRun, error) {
	return t.client.ExecuteWorkflow(t.ctx, t.options(change), workflow, argument)
}

var _ = scenario("already_started", func(t *trial) {
	run := t.parked()
	_, err := t.again(Collects, 1, func(*start) {})
	t.equal(fails[*serviceerror.WorkflowExecutionAlreadyStarted](t, err).RunId, run.GetRunID())
	t.signal(run, "put", "end")
	t.must(run.Get(t.ctx, nil))
})

var _ = scenario("id_reuse", func(t *trial) {
	t.worker([]any{Collects}, nil)
	first := t.start(t.options(), Collects, 0)
	t.must(first.Get(t.ctx, nil))
	for _, policy := range []enumspb.WorkflowIdReusePolicy{enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
		enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY} {
		_, err := t.again(Collects, 0, func(one *start) { one.WorkflowIDReusePolicy = policy })
		t.equal(fails[*serviceerror.WorkflowExecutionAlreadyStarted](t, err).RunId, first.GetRunID())
	}
	second := t.start(t.options(), Collects, 0)
	t.check(second.GetRunID() != first.GetRunID(), "the same run")
	t.must(second.Get(t.ctx, nil))
})

var _ = scenario("id_conflict", func(t *trial) {
	first := t.asleep()
	with := func(policy enumspb.WorkflowIdConflictPolicy) func(*start) {
		return func(one *start) { one.WorkflowIDConflictPolicy = policy }
	}
	_, err := t.again(Sleeps, time.Hour, with(enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL))
	fails[*serviceerror.WorkflowExecutionAlreadyStarted](t, err)
	same, err := t.again(Sleeps, time.Hour, with(enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING))
	t.must(err)
	t.equal(same.GetRunID(), first.GetRunID())
	second := t.start(t.options(with(enumspb.WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING)), Sleeps, time.Hour)
	t.check(second.GetRunID() != first.GetRunID(), "the same run")
	fails[*temporal.TerminatedError](t, t.client.GetWorkflow(t.ctx, first.GetID(), first.GetRunID()).Get(t.ctx, nil))
	t.waitFor(second, "TimerStarted")
	t.must(t.client.TerminateWorkflow(t.ctx, second.GetID(), "", "end"))
})

var _ = scenario("start_delay", func(t *trial) {
	t.worker([]any{Collects}, nil)
	run := t.start(t.options(func(one *start) { one.StartDelay = time.Second }), Collects, 0)
	t.must(run.Get(t.ctx, nil))
	events := t.events(run.GetID(), run.GetRunID())
	waited := events[1].GetEventTime().AsTime().Sub(events[0].GetEventTime().AsTime())
	t.check(waited >= time.Second && waited < 10*time.Second, "the first task came after %s", waited)
})

func Chain(ctx workflow.Context, left, sum int) (int, error) {
	if left > 0 {
		return 0, workflow.NewContinueAsNewError(ctx, Chain, left-1, sum+left)
	}
	return sum, nil
}

var _ = scenario("continue_as_new", func(t *trial) {
	t.worker([]any{Chain}, nil)
	t.equal(execute[int](t, Chain, 3, 0), 6)
})

func Ticks(ctx workflow.Context) (int, error) {
	last := 0
	if workflow.HasLastCompletionResult(ctx) {
		if err := workflow.GetLastCompletionResult(ctx, &last); err != nil {
			return 0, err
		}
	}
	return last + 1, nil
}

var _ = scenario("cron", func(t *trial) {
	t.worker([]any{Ticks}, nil)
	run := t.start(t.options(func(one *start) { one.CronSchedule = "@every 1s" }), Ticks)
	for wanted := 1; wanted <= 2; wanted++ {
		events := t.waitFor(run, "WorkflowExecutionCompleted")
		completed := events[len(events)-1].GetWorkflowExecutionCompletedEventAttributes()
		var ticks int
		t.must(converter.GetDefaultDataConverter().FromPayloads(completed.GetResult(), &ticks))
		t.equal(ticks, wanted)
		run = t.client.GetWorkflow(t.ctx, run.GetID(), completed.GetNewExecutionRunId())
	}
	t.must(t.client.TerminateWorkflow(t.ctx, run.GetID(), "", "end"))
})

func Echoes(ctx workflow.Context, data []byte) ([]byte, error) {
	var answer []byte
	err := workflow.ExecuteActivity(withOptions(ctx, short, 0), "work", data).Get(ctx, &answer)
	return answer, err
}

var _ = scenario("large_payloads", func(t *trial) {
	t.worker([]any{Echoes}, activities{"work": func(data []byte) ([]byte, error) {
		slices.Reverse(data)
		return data, nil
	}})
	data := bytes.Repeat([]byte("perdurable"), 199229) // 1.9 MiB
	answer := execute[[]byte](t, Echoes, data)
	slices.Reverse(answer)
	t.check(bytes.Equal(answer, data), "the answer differs: %d bytes", len(answer))
	_, err := t.again(Echoes, make([]byte, 2<<20), func(one *start) { one.ID = t.id("larger") })
	fails[*serviceerror.InvalidArgument](t, err)
})

func ChangesMemo(ctx workflow.Context) (string, error) {
	var before string
	memo := workflow.GetInfo(ctx).Memo.GetFields()
	if err := converter.GetDefaultDataConverter().FromPayload(memo["stage"], &before); err != nil {
		return "", err
	}
	return before, workflow.UpsertMemo(ctx, map[string]any{"stage": "changed", "gone": nil})
}

var _ = scenario("memo", func(t *trial) {
	t.worker([]any{ChangesMemo}, nil)
	given := map[string]any{"stage": "given", "kept": []int{1, 2}, "gone": true}
	run := t.start(t.options(func(one *start) { one.Memo = given }), ChangesMemo)
	t.equal(result[string](t, run), "given")
	description, err := t.client.DescribeWorkflowExecution(t.ctx, run.GetID(), run.GetRunID())
	t.must(err)
	shown := map[string]string{}
	for key, payload := range description.GetWorkflowExecutionInfo().GetMemo().GetFields() {
		shown[key] = string(payload.GetData())
	}
	t.equal(shown, map[string]string{"stage": `"changed"`, "kept": "[1,2]"})
})

var _ = scenario("user_metadata", func(t *trial) {
	t.worker([]any{Sleeps}, nil)
	run := t.start(t.options(func(one *start) { one.StaticSummary, one.StaticDetails = "in short", "at length" }), Sleeps, short)
	t.must(run.Get(t.ctx, nil))
	description, err := t.client.DescribeWorkflow(t.ctx, run.GetID(), run.GetRunID())
	t.must(err)
	summary, err := description.GetStaticSummary()
	t.must(err)
	details, err := description.GetStaticDetails()
	t.must(err)
	t.equal([]string{summary, details}, []string{"in short", "at length"})
	t.equal(string(t.eventOf(run, "TimerStarted").GetUserMetadata().GetSummary().GetData()), `"the only timer"`)
})

var _ = scenario("list_and_count", func(t *trial) {
	listed := func(query string, run client.WorkflowRun, status enumspb.WorkflowExecutionStatus) bool {
		list, err := t.client.ListWorkflow(t.ctx, &workflowservice.ListWorkflowExecutionsRequest{Query: query})
		t.must(err)
		count, err := t.client.CountWorkflow(t.ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: query})
		t.must(err)
		for _, one := range list.GetExecutions() {
			if one.GetExecution().GetRunId() == run.GetRunID() {
				return one.GetStatus() == status && count.GetCount() >= int64(len(list.GetExecutions()))
			}
		}
		return false
	}
	run := t.parked()
	byID := fmt.Sprintf("WorkflowId = '%s'", run.GetID())
	running, completed := enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
	t.eventually("listed as running", func() bool { return listed(byID, run, running) })
	t.signal(run, "put", "end")
	t.must(run.Get(t.ctx, nil))
	t.eventually("listed as completed", func() bool { return listed(byID, run, completed) })
	t.eventually("listed by status", func() bool { return listed("ExecutionStatus = 'Completed'", run, completed) })
})

func Patched(ctx workflow.Context) (string, error) {
	if workflow.GetVersion(ctx, "second-version", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return "first version", nil
	}
	var answer string
	err := workflow.ExecuteActivity(withOptions(ctx, short, 0), "work").Get(ctx, &answer)
	return answer, err
}

var _ = scenario("patched", func(t *trial) {
	t.worker([]any{Patched}, activities{"work": func() (string, error) { return "second version", nil }})
	t.equal(execute[string](t, Patched), "second version")
})

var _ = scenario("delete", func(t *trial) {
	t.worker([]any{Collects}, nil)
	t.must(t.start(t.options(), Collects, 0).Get(t.ctx, nil))
	run, err := t.again(Collects, 0, func(one *start) { one.ID = t.id("gone") })
	t.must(err)
	t.must(run.Get(t.ctx, nil))
	_, err = t.client.WorkflowService().DeleteWorkflowExecution(t.ctx, &workflowservice.DeleteWorkflowExecutionRequest{
		Namespace: setting("PERDURE_NAMESPACE", "default"), WorkflowExecution: t.execution(run)})
	t.must(err)
	t.within(time.Minute, "the workflow is gone", func() bool { // the incumbent takes half a minute
		_, err := t.client.DescribeWorkflowExecution(t.ctx, run.GetID(), run.GetRunID())
		_, gone := errors.AsType[*serviceerror.NotFound](err)
		return gone
	})
})
