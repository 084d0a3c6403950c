package compat

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

const short = 100 * time.Millisecond

func withOptions(ctx workflow.Context, interval time.Duration, attempts int) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: interval, BackoffCoefficient: 1, MaximumAttempts: int32(attempts)},
	})
}

// Calls the activity `work` with what it was given and returns its result.
func Calls(ctx workflow.Context, argument string, attempts int, interval time.Duration) (string, error) {
	var answer string
	err := workflow.ExecuteActivity(withOptions(ctx, interval, attempts), "work", argument).Get(ctx, &answer)
	return answer, err
}

var _ = scenario("hello", func(t *trial) {
	t.worker([]any{Calls}, activities{"work": func(name string) (string, error) { return "hello " + name, nil }})
	t.equal(execute[string](t, Calls, "world", 0, short), "hello world")
})

func Parallel(ctx workflow.Context, count int) ([]int, error) {
	ctx = withOptions(ctx, short, 0)
	var futures []workflow.Future
	for number := range count {
		futures = append(futures, workflow.ExecuteActivity(ctx, "work", number))
	}
	results := make([]int, count)
	for i, future := range futures {
		if err := future.Get(ctx, &results[i]); err != nil {
			return nil, err
		}
	}
	return results, nil
}

var _ = scenario("parallel_activities", func(t *trial) {
	t.worker([]any{Parallel}, activities{"work": func(number int) (int, error) { return number * number, nil }})
	squares := execute[[]int](t, Parallel, 50)
	for number, square := range squares {
		t.equal(square, number*number)
	}
	t.equal(len(squares), 50)
})

var _ = scenario("activity_retries", func(t *trial) {
	t.worker([]any{Calls}, activities{"work": func(ctx context.Context, _ string) (string, error) {
		attempt := activity.GetInfo(ctx).Attempt
		if attempt < 3 {
			return "", temporal.NewApplicationError(fmt.Sprintf("attempt %d fails", attempt), "NotYet")
		}
		return fmt.Sprintf("attempt %d", attempt), nil
	}})
	run := t.start(t.options(), Calls, "", 0, short)
	t.equal(result[string](t, run), "attempt 3")
	started := t.eventOf(run, "ActivityTaskStarted").GetActivityTaskStartedEventAttributes()
	t.equal(started.GetAttempt(), int32(3))
	t.equal(started.GetLastFailure().GetMessage(), "attempt 2 fails")
	t.equal(started.GetLastFailure().GetApplicationFailureInfo().GetType(), "NotYet")
})

var _ = scenario("activity_next_retry_delay", func(t *trial) {
	t.worker([]any{Calls}, activities{"work": func(ctx context.Context, _ string) (string, error) {
		if activity.GetInfo(ctx).Attempt == 1 {
			options := temporal.ApplicationErrorOptions{NextRetryDelay: short}
			return "", temporal.NewApplicationErrorWithOptions("come back soon", "Soon", options)
		}
		return "soon", nil
	}})
	t.equal(execute[string](t, Calls, "", 0, time.Hour), "soon")
})

var _ = scenario("activity_retries_exhausted", func(t *trial) {
	t.worker([]any{Calls}, activities{"work": func(ctx context.Context, _ string) (string, error) {
		return "", fmt.Errorf("attempt %d", activity.GetInfo(ctx).Attempt)
	}})
	run := t.start(t.options(), Calls, "", 2, short)
	err := run.Get(t.ctx, nil)
	t.equal(fails[*temporal.ActivityError](t, err).RetryState(), enumspb.RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED)
	t.equal(fails[*temporal.ApplicationError](t, err).Message(), "attempt 2")
})

var _ = scenario("activity_fails", func(t *trial) {
	t.worker([]any{Calls}, activities{"work": func(context.Context, string) (string, error) {
		options := temporal.ApplicationErrorOptions{NonRetryable: true, Cause: errors.New("the reason"),
			Details: []any{map[string]int{"answer": 42}}}
		return "", temporal.NewApplicationErrorWithOptions("no use", "Hopeless", options)
	}})
	err := t.start(t.options(), Calls, "", 0, short).Get(t.ctx, nil)
	failed := fails[*temporal.ActivityError](t, err)
	t.equal(failed.RetryState(), enumspb.RETRY_STATE_NON_RETRYABLE_FAILURE)
	t.equal(failed.ActivityType().GetName(), "work")
	cause := fails[*temporal.ApplicationError](t, failed.Unwrap())
	t.equal([]any{cause.Message(), cause.Type(), cause.NonRetryable()}, []any{"no use", "Hopeless", true})
	var details map[string]int
	t.must(cause.Details(&details))
	t.equal(details, map[string]int{"answer": 42})
	t.equal(fails[*temporal.ApplicationError](t, cause.Unwrap()).Message(), "the reason")
})

// Times calls `work` with the given timeouts and returns the type of the timeout it met.
func Times(ctx workflow.Context, queue string, options workflow.ActivityOptions, attempts int) (string, error) {
	options.TaskQueue = queue
	options.RetryPolicy = &temporal.RetryPolicy{InitialInterval: short, BackoffCoefficient: 1, MaximumAttempts: int32(attempts)}
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, options), "work").Get(ctx, nil)
	if timeout, found := errors.AsType[*temporal.TimeoutError](err); found {
		return timeout.TimeoutType().String(), nil
	}
	return "none", err
}

func endless(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func stopWithoutWaiting(options *worker.Options) { options.WorkerStopTimeout = 0 }

var _ = scenario("timeout_start_to_close", func(t *trial) {
	t.worker([]any{Times}, activities{"work": endless}, stopWithoutWaiting)
	options := workflow.ActivityOptions{StartToCloseTimeout: 500 * time.Millisecond}
	t.equal(execute[string](t, Times, t.queue(), options, 1), "StartToClose")
})

var _ = scenario("timeout_schedule_to_start", func(t *trial) {
	t.worker([]any{Times}, nil)
	options := workflow.ActivityOptions{ScheduleToStartTimeout: 500 * time.Millisecond, StartToCloseTimeout: time.Minute}
	t.equal(execute[string](t, Times, t.id("nobody"), options, 1), "ScheduleToStart")
})

var _ = scenario("timeout_schedule_to_close", func(t *trial) {
	t.worker([]any{Times}, activities{"work": func(ctx context.Context) error {
		if activity.GetInfo(ctx).Attempt == 1 {
			return errors.New("again")
		}
		return endless(ctx)
	}})
	options := workflow.ActivityOptions{ScheduleToCloseTimeout: time.Second, StartToCloseTimeout: time.Minute}
	t.equal(execute[string](t, Times, t.queue(), options, 0), "ScheduleToClose")
})

var _ = scenario("timeout_heartbeat", func(t *trial) {
	t.worker([]any{Times}, activities{"work": func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx, "alive")
		return endless(ctx)
	}})
	options := workflow.ActivityOptions{HeartbeatTimeout: 500 * time.Millisecond, StartToCloseTimeout: time.Minute}
	t.equal(execute[string](t, Times, t.queue(), options, 1), "Heartbeat")
})

func Beats(ctx workflow.Context) ([]string, error) {
	var answer []string
	ctx = workflow.WithHeartbeatTimeout(withOptions(ctx, short, 0), 20*time.Second)
	err := workflow.ExecuteActivity(ctx, "work").Get(ctx, &answer)
	return answer, err
}

var _ = scenario("heartbeat_details", func(t *trial) {
	t.worker([]any{Beats}, activities{"work": func(ctx context.Context) ([]string, error) {
		if activity.GetInfo(ctx).Attempt == 1 {
			activity.RecordHeartbeat(ctx, "progress", 7)
			return nil, errors.New("after the heartbeat")
		}
		var word string
		var number int
		err := activity.GetHeartbeatDetails(ctx, &word, &number)
		return []string{word, fmt.Sprint(number)}, err
	}})
	t.equal(execute[[]string](t, Beats), []string{"progress", "7"})
})

func CancelsActivity(ctx workflow.Context, wait bool, queue string) error {
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: time.Minute, HeartbeatTimeout: 30 * time.Second, WaitForCancellation: wait,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 1}}), "work").Get(ctx, nil)
}

// AbandonsActivity ends when it is canceled and never tells its activity.
func AbandonsActivity(ctx workflow.Context) error {
	apart, _ := workflow.NewDisconnectedContext(ctx)
	workflow.ExecuteActivity(withOptions(apart, short, 1), "work", "")
	ctx.Done().Receive(ctx, nil)
	return ctx.Err()
}

// cancelActivity waits until `running` is closed, cancels the workflow, and expects it to end as canceled.
func (t *trial) cancelActivity(run client.WorkflowRun, running chan struct{}) {
	t.Helper()
	t.waitFor(run, "ActivityTaskScheduled")
	<-running
	t.must(t.client.CancelWorkflow(t.ctx, run.GetID(), run.GetRunID()))
	fails[*temporal.CanceledError](t, run.Get(t.ctx, nil))
}

// The interval is also the time that the SDK gives one heartbeat before it takes the activity for lost.
func quickHeartbeats(options *worker.Options) {
	options.MaxHeartbeatThrottleInterval = 2 * time.Second
	options.DefaultHeartbeatThrottleInterval = 2 * time.Second
}

var _ = scenario("cancel_activity_wait", func(t *trial) {
	running := make(chan struct{})
	var told atomic.Bool
	t.worker([]any{CancelsActivity}, activities{"work": func(ctx context.Context) error {
		close(running)
		for tick := time.Tick(short); ; {
			select {
			case <-tick:
				activity.RecordHeartbeat(ctx, "still here")
			case <-ctx.Done():
				told.Store(true)
				return ctx.Err()
			}
		}
	}}, quickHeartbeats)
	t.cancelActivity(t.start(t.options(), CancelsActivity, true, t.queue()), running)
	t.check(told.Load(), "the activity was not told")
})

var _ = scenario("cancel_activity_try", func(t *trial) {
	running := make(chan struct{})
	t.worker([]any{CancelsActivity}, activities{"work": func(ctx context.Context) error {
		close(running)
		return endless(ctx)
	}})
	t.cancelActivity(t.start(t.options(), CancelsActivity, false, t.queue()), running)
})

var _ = scenario("cancel_activity_abandon", func(t *trial) {
	running := make(chan struct{})
	var token []byte
	t.worker([]any{AbandonsActivity}, activities{"work": func(ctx context.Context, _ string) (string, error) {
		token = activity.GetInfo(ctx).TaskToken
		close(running)
		return "", activity.ErrResultPending
	}})
	t.cancelActivity(t.start(t.options(), AbandonsActivity), running)
	fails[*serviceerror.NotFound](t, t.client.CompleteActivity(t.ctx, token, "late", nil))
})

var _ = scenario("cancel_activity_unstarted", func(t *trial) {
	atOnce := make(chan struct{})
	close(atOnce)
	t.worker([]any{CancelsActivity}, nil)
	t.cancelActivity(t.start(t.options(), CancelsActivity, true, t.id("nobody")), atOnce)
})

// pickedUp is the only pending activity of the workflow once a worker has taken it.
func (t *trial) pickedUp(run client.WorkflowRun) *workflowpb.PendingActivityInfo {
	t.Helper()
	return t.pendingActivity(run, func(one *workflowpb.PendingActivityInfo) bool { return one.GetLastStartedTime() != nil })
}

func (t *trial) pendingActivity(run client.WorkflowRun, good func(*workflowpb.PendingActivityInfo) bool) *workflowpb.PendingActivityInfo {
	t.Helper()
	var found *workflowpb.PendingActivityInfo
	t.eventually("the pending activity is as wanted", func() bool {
		description, err := t.client.DescribeWorkflowExecution(t.ctx, run.GetID(), run.GetRunID())
		t.must(err)
		for _, one := range description.GetPendingActivities() {
			if good(one) {
				found = one
			}
		}
		return found != nil
	})
	return found
}

func later(tokens chan []byte) activities {
	return activities{"work": func(ctx context.Context, _ string) (string, error) {
		tokens <- activity.GetInfo(ctx).TaskToken
		return "", activity.ErrResultPending
	}}
}

var _ = scenario("async_completion_token", func(t *trial) {
	tokens := make(chan []byte, 1)
	t.worker([]any{Calls}, later(tokens))
	run := t.start(t.options(), Calls, "", 0, short)
	token := <-tokens
	t.must(t.client.RecordActivityHeartbeat(t.ctx, token, "half way"))
	details := t.pickedUp(run).GetHeartbeatDetails().GetPayloads()
	t.equal(string(details[0].GetData()), `"half way"`)
	t.must(t.client.CompleteActivity(t.ctx, token, "by token", nil))
	t.equal(result[string](t, run), "by token")
	fails[*serviceerror.NotFound](t, t.client.CompleteActivity(t.ctx, token, "twice", nil))
})

var _ = scenario("async_completion_id", func(t *trial) {
	t.worker([]any{Calls}, later(make(chan []byte, 1)))
	run := t.start(t.options(), Calls, "", 0, short)
	id, namespace := t.pickedUp(run).GetActivityId(), setting("PERDURE_NAMESPACE", "default")
	t.must(t.client.RecordActivityHeartbeatByID(t.ctx, namespace, run.GetID(), run.GetRunID(), id, 1))
	t.must(t.client.CompleteActivityByID(t.ctx, namespace, run.GetID(), run.GetRunID(), id, "by id", nil))
	t.equal(result[string](t, run), "by id")
	fails[*serviceerror.NotFound](t, t.client.RecordActivityHeartbeatByID(t.ctx, namespace, run.GetID(), run.GetRunID(), id, 2))
})

var _ = scenario("async_failure", func(t *trial) {
	tokens := make(chan []byte, 1)
	t.worker([]any{Calls}, later(tokens))
	run := t.start(t.options(), Calls, "", 1, short)
	t.must(t.client.CompleteActivity(t.ctx, <-tokens, nil, errors.New("from outside")))
	t.equal(fails[*temporal.ApplicationError](t, run.Get(t.ctx, nil)).Message(), "from outside")
})

var _ = scenario("describe_pending_activity", func(t *trial) {
	var mended atomic.Bool
	t.worker([]any{Calls}, activities{"work": func(ctx context.Context, _ string) (string, error) {
		activity.RecordHeartbeat(ctx, "so far")
		if !mended.Load() {
			return "", fmt.Errorf("attempt %d fails", activity.GetInfo(ctx).Attempt)
		}
		return "done", nil
	}})
	run := t.start(t.options(), Calls, "", 0, short)
	shown := t.pendingActivity(run, func(one *workflowpb.PendingActivityInfo) bool { return one.GetAttempt() >= 3 })
	t.equal(shown.GetActivityType().GetName(), "work")
	t.check(shown.GetLastFailure().GetMessage()[:8] == "attempt ", "last failure: %v", shown.GetLastFailure())
	t.equal(string(shown.GetHeartbeatDetails().GetPayloads()[0].GetData()), `"so far"`)
	mended.Store(true)
	t.equal(result[string](t, run), "done")
})

func Local(ctx workflow.Context) (string, error) {
	var answer string
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: time.Minute,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: short, BackoffCoefficient: 1}})
	err := workflow.ExecuteLocalActivity(ctx, "work").Get(ctx, &answer)
	return answer, err
}

var _ = scenario("local_activity", func(t *trial) {
	t.worker([]any{Local}, activities{"work": func(ctx context.Context) (string, error) {
		if activity.GetInfo(ctx).Attempt == 1 {
			return "", errors.New("once")
		}
		return fmt.Sprintf("attempt %d", activity.GetInfo(ctx).Attempt), nil
	}})
	t.equal(execute[string](t, Local), "attempt 2")
})

var _ = scenario("local_activity_long", func(t *trial) {
	t.worker([]any{Local}, activities{"work": func(ctx context.Context) (string, error) {
		select {
		case <-time.After(4 * time.Second): // the workflow task timeout is two seconds
			return "at last", nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}})
	run := t.start(t.options(func(one *client.StartWorkflowOptions) { one.WorkflowTaskTimeout = 2 * time.Second }), Local)
	t.equal(result[string](t, run), "at last")
})
