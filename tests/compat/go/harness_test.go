// Package compat runs the Go SDK, unmodified, through every scenario of ../scenarios.md against a running server:
//
//	PERDURE_ADDRESS=127.0.0.1:7233 go test -count=1 -parallel 16 ./...
//
// PERDURE_NAMESPACE names the namespace, by default "default".
package compat

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
)

const limit = 240 * time.Second // for one scenario: a few on an idle machine, and a starved one is no failure

var (
	scenarios = map[string]func(*trial){}
	quiet     = log.NewStructuredLogger(slog.New(slog.DiscardHandler)) // failed activities and tasks are meant to fail here
	closing   = []string{"Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"}
)

func scenario(name string, run func(*trial)) bool {
	if _, taken := scenarios[name]; taken {
		panic("two scenarios are named " + name)
	}
	scenarios[name] = run
	return true
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func dial() (client.Client, error) {
	return client.Dial(client.Options{HostPort: setting("PERDURE_ADDRESS", "127.0.0.1:7233"),
		Namespace: setting("PERDURE_NAMESPACE", "default"), Logger: quiet})
}

func TestMain(m *testing.M) {
	if kind := os.Getenv("COMPAT_WORKER"); kind != "" {
		runWorkerProcess(kind, os.Getenv("COMPAT_QUEUE"))
		return
	}
	os.Exit(m.Run())
}

func TestScenarios(t *testing.T) {
	list := readList(t)
	for name := range list {
		if scenarios[name] == nil {
			t.Errorf("only in the list: %s", name)
		}
	}
	for name := range scenarios {
		if _, listed := list[name]; !listed {
			t.Errorf("only in this suite: %s", name)
		}
	}
	connection, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(connection.Close)
	for name, run := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			it := &trial{T: t, ctx: ctx, client: connection, name: name, uid: fmt.Sprintf("%08x", rand.Uint32())}
			defer it.end()
			run(it)
			it.verify(list[name])
		})
	}
}

type firstRun struct{ workflowID, runID string }

// trial is one scenario's run: its context, its client, its workers, and the runs to check at the end. Used by one goroutine.
type trial struct {
	*testing.T
	ctx       context.Context
	client    client.Client
	name, uid string
	runs      []firstRun
	workflows []any
	stops     []func()
}

func (t *trial) queue() string { return t.name + "-" + t.uid }

func (t *trial) id(part ...string) string {
	return strings.Join(append([]string{t.name, t.uid}, part...), "-")
}

func (t *trial) must(err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%T: %v", err, err)
	}
}

func (t *trial) equal(got, wanted any) {
	t.Helper()
	if !reflect.DeepEqual(got, wanted) {
		t.Fatalf("got %#v, wanted %#v", got, wanted)
	}
}

func (t *trial) check(holds bool, format string, arguments ...any) {
	t.Helper()
	if !holds {
		t.Fatalf(format, arguments...)
	}
}

// fails expects an error of the given type somewhere in the chain and returns it.
func fails[E error](t *trial, err error) E {
	t.Helper()
	wanted, found := errors.AsType[E](err)
	if !found {
		t.Fatalf("expected an error of type %T, got %T: %v", wanted, err, err)
	}
	return wanted
}

func (t *trial) eventually(what string, holds func() bool) {
	t.Helper()
	t.within(60*time.Second, what, holds)
}

func (t *trial) within(deadline time.Duration, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(deadline); !holds(); {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", deadline, what)
		}
		select {
		case <-t.ctx.Done():
			t.Fatal(t.ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

type activities map[string]any

// worker starts a worker on the scenario's queue and returns what stops it; the end of the scenario does so too. What it registers is
// what the replayer knows.
func (t *trial) worker(workflows []any, work activities, change ...func(*worker.Options)) func() {
	t.Helper()
	// A workflow that does not yield for a second is not stuck: the machine may be starved. See UNHURRIED in the Python suite.
	options := worker.Options{StickyScheduleToStartTimeout: time.Minute, WorkerStopTimeout: 0, DeadlockDetectionTimeout: time.Hour}
	for _, one := range change {
		one(&options)
	}
	made := worker.New(t.client, t.queue(), options)
	for _, one := range workflows {
		made.RegisterWorkflow(one)
		t.know(one)
	}
	for name, one := range work {
		made.RegisterActivityWithOptions(one, activity.RegisterOptions{Name: name})
	}
	t.must(made.Start())
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			made.Stop()
		}
	}
	t.stops = append(t.stops, stop)
	return stop
}

func (t *trial) know(workflow any) {
	same := func(one any) bool { return reflect.ValueOf(one).Pointer() == reflect.ValueOf(workflow).Pointer() }
	if !slices.ContainsFunc(t.workflows, same) {
		t.workflows = append(t.workflows, workflow)
	}
}

func (t *trial) options(change ...func(*client.StartWorkflowOptions)) client.StartWorkflowOptions {
	// A busy machine must not look like a worker that is gone: no workflow task times out unless a scenario wants it.
	options := client.StartWorkflowOptions{ID: t.id(), TaskQueue: t.queue(), WorkflowExecutionTimeout: limit,
		WorkflowTaskTimeout: time.Minute, WorkflowExecutionErrorWhenAlreadyStarted: true}
	for _, one := range change {
		one(&options)
	}
	return options
}

func (t *trial) start(options client.StartWorkflowOptions, workflow any, arguments ...any) client.WorkflowRun {
	t.Helper()
	run, err := t.client.ExecuteWorkflow(t.ctx, options, workflow, arguments...)
	t.must(err)
	t.verifyAtEnd(run)
	return run
}

func (t *trial) verifyAtEnd(run client.WorkflowRun) {
	first := firstRun{run.GetID(), run.GetRunID()}
	if !slices.Contains(t.runs, first) {
		t.runs = append(t.runs, first)
	}
}

func result[R any](t *trial, run client.WorkflowRun) R {
	t.Helper()
	var value R
	t.must(run.Get(t.ctx, &value))
	return value
}

// execute starts the workflow with default options and returns its result.
func execute[R any](t *trial, workflow any, arguments ...any) R {
	t.Helper()
	return result[R](t, t.start(t.options(), workflow, arguments...))
}

func (t *trial) signal(run client.WorkflowRun, name string, value any) {
	t.Helper()
	t.must(t.client.SignalWorkflow(t.ctx, run.GetID(), run.GetRunID(), name, value))
}

func query[R any](t *trial, run client.WorkflowRun, name string) R {
	t.Helper()
	var value R
	encoded, err := t.client.QueryWorkflow(t.ctx, run.GetID(), run.GetRunID(), name)
	t.must(err)
	t.must(encoded.Get(&value))
	return value
}

func (t *trial) execution(run client.WorkflowRun) *commonpb.WorkflowExecution {
	return &commonpb.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()}
}

func (t *trial) events(workflowID, runID string) []*historypb.HistoryEvent {
	t.Helper()
	return t.read(t.client.GetWorkflowHistory(t.ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT), nil)
}

func (t *trial) read(iterator client.HistoryEventIterator, enough func(*historypb.HistoryEvent) bool) []*historypb.HistoryEvent {
	t.Helper()
	var events []*historypb.HistoryEvent
	for iterator.HasNext() {
		event, err := iterator.Next()
		t.must(err)
		events = append(events, event)
		if enough != nil && enough(event) {
			return events
		}
	}
	t.check(enough == nil, "the workflow ended without it: %s", inShort(typesOf(events)))
	return events
}

// waitFor returns the history up to the first event of that type, waiting by long polls.
func (t *trial) waitFor(run client.WorkflowRun, eventType string) []*historypb.HistoryEvent {
	t.Helper()
	iterator := t.client.GetWorkflowHistory(t.ctx, run.GetID(), run.GetRunID(), true, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	return t.read(iterator, func(event *historypb.HistoryEvent) bool { return event.GetEventType().String() == eventType })
}

func (t *trial) eventOf(run client.WorkflowRun, eventType string) *historypb.HistoryEvent {
	t.Helper()
	for _, event := range t.events(run.GetID(), run.GetRunID()) {
		if event.GetEventType().String() == eventType {
			return event
		}
	}
	t.Fatalf("no %s in the history", eventType)
	return nil
}

// spawnWorker starts a worker process for this scenario's queue (worker_process_test.go); it is killed at the end if it still runs.
func (t *trial) spawnWorker(kind string) *exec.Cmd {
	t.Helper()
	child := exec.CommandContext(t.ctx, os.Args[0])
	child.Env = append(os.Environ(), "COMPAT_WORKER="+kind, "COMPAT_QUEUE="+t.queue())
	output, err := child.StdoutPipe()
	t.must(err)
	t.must(child.Start())
	t.stops = append(t.stops, func() {
		_ = child.Process.Kill() // an error says that it has ended already
		_ = child.Wait()
	})
	line, err := bufio.NewReader(output).ReadString('\n')
	t.must(err)
	t.equal(line, "ready\n")
	return child
}

func (t *trial) end() {
	for _, stop := range t.stops {
		stop()
	}
}

// verify fetches every run, compares it with its pattern, and replays it.
func (t *trial) verify(wanted expectation) {
	t.Helper()
	replayer := worker.NewWorkflowReplayer()
	for _, one := range t.workflows {
		replayer.RegisterWorkflow(one)
	}
	place := 0
	for _, first := range t.runs {
		runID := first.runID
		for runID != "" && place < len(wanted.runs) {
			events := t.events(first.workflowID, runID)
			t.checkShape(events)
			types := typesOf(events)
			if !wanted.runs[place].MatchString(strings.Join(types, " ") + " ") {
				t.Fatalf("history of run %d does not match the list: %s", place+1, inShort(types))
			}
			if err := replayer.ReplayWorkflowHistory(quiet, &historypb.History{Events: events}); err != nil {
				t.Fatalf("replay of run %d: %v", place+1, err)
			}
			runID = successor(events[len(events)-1])
			place++
		}
		t.check(runID == "" || wanted.openEnded, "%s has more runs than the list says", first.workflowID)
	}
	t.check(place == len(wanted.runs), "%d runs, the list says %d", place, len(wanted.runs))
}

func (t *trial) checkShape(events []*historypb.HistoryEvent) {
	t.Helper()
	for i, event := range events {
		t.check(event.GetEventId() == int64(i+1), "event %d has id %d", i+1, event.GetEventId())
		how, ends := strings.CutPrefix(event.GetEventType().String(), "WorkflowExecution")
		t.check(!ends || !slices.Contains(closing, how) || i == len(events)-1, "events follow %s", event.GetEventType())
	}
}

func typesOf(events []*historypb.HistoryEvent) []string {
	types := make([]string, len(events))
	for i, event := range events {
		types[i] = event.GetEventType().String()
	}
	return types
}

// successor is the run that a closing event names as the next of its chain, or "".
func successor(event *historypb.HistoryEvent) string {
	switch event.GetEventType() {
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
		return event.GetWorkflowExecutionCompletedEventAttributes().GetNewExecutionRunId()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
		return event.GetWorkflowExecutionFailedEventAttributes().GetNewExecutionRunId()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
		return event.GetWorkflowExecutionTimedOutEventAttributes().GetNewExecutionRunId()
	case enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
		return event.GetWorkflowExecutionContinuedAsNewEventAttributes().GetNewExecutionRunId()
	}
	return ""
}
