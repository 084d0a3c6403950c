package compat

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

// Steps are three activities, one after the other; `got` says which results are in.
func Steps(ctx workflow.Context) ([]int, error) {
	results := []int{}
	if err := workflow.SetQueryHandler(ctx, "got", func() ([]int, error) { return results, nil }); err != nil {
		return nil, err
	}
	for number := range 3 {
		var one int
		if err := workflow.ExecuteActivity(withOptions(ctx, short, 0), "work", number).Get(ctx, &one); err != nil {
			return nil, err
		}
		results = append(results, one)
	}
	return results, nil
}

// OneActivity may take two seconds and is tried again at once.
func OneActivity(ctx workflow.Context, value string) (string, error) {
	var answer string
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 2 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{InitialInterval: short}})
	err := workflow.ExecuteActivity(ctx, "work", value).Get(ctx, &answer)
	return answer, err
}

var blocked = os.Getenv("COMPAT_WORKER") == "block"

func Nothing(workflow.Context) (string, error) {
	if blocked {
		select {}
	}
	return "nothing", nil
}

func Pair(ctx workflow.Context) ([]string, error) {
	ctx = withOptions(ctx, short, 0)
	left, right := workflow.ExecuteActivity(ctx, "meet", 0), workflow.ExecuteActivity(ctx, "meet", 1)
	met := make([]string, 2)
	if err := left.Get(ctx, &met[0]); err != nil {
		return nil, err
	}
	return met, right.Get(ctx, &met[1])
}

var _ = scenario("two_workers", func(t *trial) {
	arrived := []chan struct{}{make(chan struct{}), make(chan struct{})}
	for _, name := range []string{"left", "right"} {
		meet := func(number int) (string, error) {
			close(arrived[number])
			<-arrived[1-number]
			return name, nil
		}
		t.worker([]any{Pair}, activities{"meet": meet}, func(options *worker.Options) {
			options.Identity = name
			options.MaxConcurrentActivityExecutionSize = 1
			options.DisableEagerActivities = true // or one worker could reserve both activities
		})
	}
	met := execute[[]string](t, Pair)
	t.check(len(met) == 2 && met[0] != met[1], "both ran on %v", met)
})

var _ = scenario("cache_zero", func(t *trial) {
	t.know(Steps)
	child := t.spawnWorker("uncached") // the cache's size is a setting of the process
	run := t.start(t.options(), Steps)
	t.pendingActivity(run, func(one *workflowpb.PendingActivityInfo) bool { return one.GetAttempt() >= 2 })
	t.equal(query[[]int](t, run, "got"), []int{0, 10})
	t.must(child.Process.Signal(os.Interrupt)) // tells its activity to go on
	t.equal(result[[]int](t, run), []int{0, 10, 20})
	t.equal(query[[]int](t, run, "got"), []int{0, 10, 20})
})

var _ = scenario("worker_replaced", func(t *trial) {
	child := t.spawnWorker("stops")
	run := t.start(t.options(), Collects, 1)
	t.waitFor(run, "WorkflowTaskCompleted")
	t.must(child.Process.Signal(os.Interrupt))
	t.must(child.Wait())
	t.signal(run, "put", "to the second worker")
	t.worker([]any{Collects}, nil)
	t.equal(result[[]string](t, run), []string{"to the second worker"})
})

var _ = scenario("worker_killed", func(t *trial) {
	child := t.spawnWorker("hang")
	run := t.start(t.options(), OneActivity, "done")
	t.pickedUp(run)
	t.must(child.Process.Kill())
	_ = child.Wait() // says that it was killed
	t.worker([]any{OneActivity}, activities{"work": func(value string) (string, error) { return value + " by the second worker", nil }})
	t.equal(result[string](t, run), "done by the second worker")
	started := t.eventOf(run, "ActivityTaskStarted").GetActivityTaskStartedEventAttributes()
	t.equal(started.GetAttempt(), int32(2))
	t.check(started.GetLastFailure().GetTimeoutFailureInfo() != nil, "last failure: %v", started.GetLastFailure())
})

var _ = scenario("worker_killed_in_task", func(t *trial) {
	child := t.spawnWorker("block")
	run := t.start(t.options(func(one *client.StartWorkflowOptions) { one.WorkflowTaskTimeout = time.Second }), Nothing)
	t.waitFor(run, "WorkflowTaskStarted")
	t.must(child.Process.Kill())
	_ = child.Wait() // says that it was killed
	t.worker([]any{Nothing}, nil)
	t.equal(result[string](t, run), "nothing")
})

var mended atomic.Bool

func Broken(workflow.Context) (string, error) {
	if !mended.Load() {
		panic("a bug in the workflow's code") // not a failure of the workflow: its task fails
	}
	return "mended", nil
}

var _ = scenario("workflow_task_fails", func(t *trial) {
	t.worker([]any{Broken}, nil)
	options := t.options()
	options.WorkflowTaskTimeout = time.Second // this SDK does not answer a second attempt that fails: it times out
	run := t.start(options, Broken)
	events := t.waitFor(run, "WorkflowTaskFailed")
	failure := events[len(events)-1].GetWorkflowTaskFailedEventAttributes().GetFailure()
	t.equal(failure.GetMessage(), "a bug in the workflow's code")
	mended.Store(true)
	t.equal(result[string](t, run), "mended")
})

func hang(ctx context.Context, _ string) (string, error) { return "", endless(ctx) }
