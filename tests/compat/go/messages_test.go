package compat

import (
	"errors"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

func Timers(ctx workflow.Context) ([]int, error) {
	var fired []int
	all := workflow.NewWaitGroup(ctx)
	for _, milliseconds := range []int{900, 100, 500} {
		all.Add(1)
		workflow.Go(ctx, func(ctx workflow.Context) {
			defer all.Done()
			if workflow.Sleep(ctx, time.Duration(milliseconds)*time.Millisecond) == nil {
				fired = append(fired, milliseconds)
			}
		})
	}
	all.Wait(ctx)
	return fired, nil
}

var _ = scenario("timers", func(t *trial) {
	t.worker([]any{Timers}, nil)
	run := t.start(t.options(), Timers)
	fired := result[[]int](t, run) // a worker that comes late sees several at once, and then takes them in any order
	sort.Ints(fired)
	t.equal(fired, []int{100, 500, 900})
	started, order := map[string]time.Duration{}, []time.Duration{}
	for _, event := range t.events(run.GetID(), run.GetRunID()) {
		if timer := event.GetTimerStartedEventAttributes(); timer != nil {
			started[timer.GetTimerId()] = timer.GetStartToFireTimeout().AsDuration()
		} else if timer := event.GetTimerFiredEventAttributes(); timer != nil {
			order = append(order, started[timer.GetTimerId()]/time.Millisecond)
		}
	}
	t.equal(order, []time.Duration{100, 500, 900})
})

func CancelsTimer(ctx workflow.Context) (string, error) {
	inner, cancel := workflow.WithCancel(ctx)
	long := workflow.NewTimer(inner, time.Hour)
	if err := workflow.Sleep(ctx, short); err != nil {
		return "", err
	}
	cancel()
	if temporal.IsCanceledError(long.Get(ctx, nil)) {
		return "timer canceled", nil
	}
	return "timer fired", nil
}

var _ = scenario("cancel_timer", func(t *trial) {
	t.worker([]any{CancelsTimer}, nil)
	t.equal(execute[string](t, CancelsTimer), "timer canceled")
})

// Collects signals until it has the wanted number, and returns them in order.
func Collects(ctx workflow.Context, wanted int) ([]string, error) {
	received := []string{}
	if err := workflow.SetQueryHandler(ctx, "got", func() ([]string, error) { return received, nil }); err != nil {
		return nil, err
	}
	broken := func() (string, error) { return "", fmt.Errorf("this query always fails") }
	if err := workflow.SetQueryHandler(ctx, "broken", broken); err != nil {
		return nil, err
	}
	signals := workflow.GetSignalChannel(ctx, "put")
	for len(received) < wanted {
		var value string
		signals.Receive(ctx, &value)
		received = append(received, value)
	}
	return received, nil
}

var _ = scenario("signal_before", func(t *trial) {
	run := t.start(t.options(), Collects, 3)
	for _, value := range []string{"a", "b", "c"} {
		t.signal(run, "put", value)
	}
	t.worker([]any{Collects}, nil)
	t.equal(result[[]string](t, run), []string{"a", "b", "c"})
})

// parked starts Collects for one signal and returns when it waits for it.
func (t *trial) parked() client.WorkflowRun {
	t.Helper()
	t.worker([]any{Collects}, nil)
	run := t.start(t.options(), Collects, 1)
	t.waitFor(run, "WorkflowTaskCompleted")
	return run
}

var _ = scenario("signal_while", func(t *trial) {
	run := t.parked()
	t.signal(run, "put", "x")
	t.equal(result[[]string](t, run), []string{"x"})
})

var _ = scenario("signal_after", func(t *trial) {
	t.worker([]any{Collects}, nil)
	run := t.start(t.options(), Collects, 0)
	t.must(run.Get(t.ctx, nil))
	err := fails[*serviceerror.NotFound](t, t.client.SignalWorkflow(t.ctx, run.GetID(), run.GetRunID(), "put", "late"))
	t.equal(err.Error(), "workflow execution already completed")
})

var _ = scenario("signal_with_start", func(t *trial) {
	send := func(value string) client.WorkflowRun {
		run, err := t.client.SignalWithStartWorkflow(t.ctx, t.id(), "put", value, t.options(), Collects, 2)
		t.must(err)
		return run
	}
	first := send("first")
	t.verifyAtEnd(first)
	t.worker([]any{Collects}, nil)
	t.waitFor(first, "WorkflowTaskCompleted")
	t.equal(send("second").GetRunID(), first.GetRunID())
	t.equal(result[[]string](t, first), []string{"first", "second"})
})

func CompletesAfterLocal(ctx workflow.Context) (int, error) {
	ctx = workflow.WithLocalActivityOptions(ctx, workflow.LocalActivityOptions{StartToCloseTimeout: 30 * time.Second})
	if err := workflow.ExecuteLocalActivity(ctx, "hold").Get(ctx, nil); err != nil {
		return 0, err
	}
	received := 0
	for signals := workflow.GetSignalChannel(ctx, "put"); signals.ReceiveAsync(nil); {
		received++
	}
	return received, nil
}

var _ = scenario("signal_during_task", func(t *trial) {
	inside, signaled := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(inside) })
	t.worker([]any{CompletesAfterLocal}, activities{"hold": func() error {
		enter()
		<-signaled
		return nil
	}})
	run := t.start(t.options(), CompletesAfterLocal)
	<-inside
	t.signal(run, "put", nil)
	close(signaled)
	t.equal(result[int](t, run), 1)
})

var _ = scenario("signals_thousand", func(t *trial) {
	const count = 1000
	t.worker([]any{Collects}, nil)
	run := t.start(t.options(), Collects, count)
	t.waitFor(run, "WorkflowTaskCompleted")
	numbers := make(chan int)
	var senders sync.WaitGroup
	for range 20 {
		senders.Go(func() {
			for number := range numbers {
				if err := t.client.SignalWorkflow(t.ctx, run.GetID(), run.GetRunID(), "put", strconv.Itoa(number)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for number := range count {
		numbers <- number
	}
	close(numbers)
	senders.Wait()
	received := result[[]string](t, run)
	var inHistory []string
	for _, event := range t.events(run.GetID(), run.GetRunID()) {
		if signaled := event.GetWorkflowExecutionSignaledEventAttributes(); signaled != nil {
			var value string
			t.must(converter.GetDefaultDataConverter().FromPayloads(signaled.GetInput(), &value))
			inHistory = append(inHistory, value)
		}
	}
	t.equal(received, inHistory)
	sorted := make([]int, count)
	for i, one := range received {
		value, err := strconv.Atoi(one)
		t.must(err)
		sorted[i] = value
	}
	sort.Ints(sorted)
	for i, one := range sorted {
		t.equal(one, i)
	}
})

func SignalsOther(ctx workflow.Context, other string) (string, error) {
	if err := workflow.SignalExternalWorkflow(ctx, other, "", "put", "from outside").Get(ctx, nil); err != nil {
		return fmt.Sprintf("%T", err), nil
	}
	return "signaled", nil
}

var _ = scenario("signal_external", func(t *trial) {
	t.worker([]any{Collects, SignalsOther}, nil)
	options := t.options()
	options.ID = t.id("other")
	other, err := t.client.ExecuteWorkflow(t.ctx, options, Collects, 1)
	t.must(err)
	t.waitFor(other, "WorkflowTaskCompleted")
	t.equal(execute[string](t, SignalsOther, other.GetID()), "signaled")
	t.verifyAtEnd(other)
	t.equal(result[[]string](t, other), []string{"from outside"})
})

var _ = scenario("signal_external_missing", func(t *trial) {
	t.worker([]any{SignalsOther}, nil)
	kind := execute[string](t, SignalsOther, t.id("nobody"))
	t.check(strings.HasSuffix(kind, ".UnknownExternalWorkflowExecutionError"), "the error's type is %s", kind)
})

var _ = scenario("query_running", func(t *trial) {
	run := t.parked()
	t.equal(query[[]string](t, run, "got"), []string{})
	t.signal(run, "put", "seen")
	t.equal(query[[]string](t, run, "got"), []string{"seen"})
	t.equal(result[[]string](t, run), []string{"seen"})
})

func Remembers(ctx workflow.Context) error {
	remembered := ""
	if err := workflow.SetQueryHandler(ctx, "remembered", func() (string, error) { return remembered, nil }); err != nil {
		return err
	}
	return workflow.ExecuteActivity(withOptions(ctx, short, 0), "work").Get(ctx, &remembered)
}

var _ = scenario("query_closed", func(t *trial) {
	stop := t.worker([]any{Remembers}, activities{"work": func() (string, error) { return "kept in the history", nil }})
	run := t.start(t.options(), Remembers)
	t.must(run.Get(t.ctx, nil))
	stop()
	t.worker([]any{Remembers}, nil)
	t.eventually("the query is answered", func() bool { // the incumbent may cancel one that meets the first worker's queue
		answer, err := t.client.QueryWorkflow(t.ctx, run.GetID(), run.GetRunID(), "remembered")
		if _, canceled := errors.AsType[*serviceerror.Canceled](err); canceled {
			return false
		}
		t.must(err)
		var value string
		t.must(answer.Get(&value))
		return value == "kept in the history"
	})
})

var _ = scenario("query_failing", func(t *trial) {
	run := t.parked()
	_, err := t.client.QueryWorkflow(t.ctx, run.GetID(), run.GetRunID(), "broken")
	t.equal(fails[*serviceerror.QueryFailed](t, err).Error(), "this query always fails")
	_, err = t.client.QueryWorkflow(t.ctx, run.GetID(), run.GetRunID(), "nobody_knows")
	fails[*serviceerror.QueryFailed](t, err)
	t.signal(run, "put", "end")
	t.equal(result[[]string](t, run), []string{"end"})
})

var _ = scenario("query_rejected", func(t *trial) {
	t.worker([]any{Collects}, nil)
	run := t.start(t.options(), Collects, 0)
	t.must(run.Get(t.ctx, nil))
	answer, err := t.client.QueryWorkflowWithOptions(t.ctx, &client.QueryWorkflowWithOptionsRequest{WorkflowID: run.GetID(),
		RunID: run.GetRunID(), QueryType: "got", QueryRejectCondition: enumspb.QUERY_REJECT_CONDITION_NOT_OPEN})
	t.must(err)
	t.check(answer.QueryRejected != nil, "the query was answered")
	t.equal(answer.QueryRejected.GetStatus(), enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	t.equal(query[[]string](t, run, "got"), []string{})
})
