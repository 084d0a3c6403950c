// Command sdkbench is the Go SDK's side of bench/sdk.py; its modes are those of bench/sdk_driver.cc:
//
//	sdkbench replay HISTORY.json SECONDS
//	sdkbench worker QUEUE
package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

var quiet = log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))

func chain(ctx workflow.Context, length int) (int, error) {
	sum := 0
	for number := range length {
		ctx := workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			StartToCloseTimeout: time.Minute, ActivityID: "step-" + strconv.Itoa(number)})
		var result int
		if err := workflow.ExecuteActivity(ctx, "work", number).Get(ctx, &result); err != nil {
			return 0, err
		}
		sum += result
	}
	return sum, nil
}

func waits(ctx workflow.Context) error {
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
	return nil
}

func work(number int) (int, error) { return number + 1, nil }

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 3 && arguments[0] == "replay" {
		return replay(arguments[1], arguments[2])
	}
	connection, err := client.Dial(client.Options{HostPort: os.Getenv("TEMPORAL_ADDRESS"), Logger: quiet})
	if err != nil {
		return err
	}
	made := worker.New(connection, arguments[1], worker.Options{})
	made.RegisterWorkflowWithOptions(chain, workflow.RegisterOptions{Name: "chain"})
	made.RegisterWorkflowWithOptions(waits, workflow.RegisterOptions{Name: "waits"})
	made.RegisterActivity(work)
	if err := made.Start(); err != nil {
		return err
	}
	fmt.Println("ready")
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	<-ended
	made.Stop()
	return nil
}

func replay(file, seconds string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	limit, err := strconv.ParseFloat(seconds, 64)
	if err != nil {
		return err
	}
	var history *historypb.History
	if history, err = client.HistoryFromJSON(bytes.NewReader(text), client.HistoryJSONOptions{}); err != nil {
		return err
	}
	replayer := worker.NewWorkflowReplayer()
	replayer.RegisterWorkflowWithOptions(chain, workflow.RegisterOptions{Name: "chain"})
	events, began := 0, time.Now()
	for time.Since(began).Seconds() < limit {
		if err := replayer.ReplayWorkflowHistory(quiet, history); err != nil {
			return err
		}
		events += len(history.Events)
	}
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return err
	}
	fmt.Printf("{\"events\": %d, \"cpu_seconds\": %f}\n", events,
		float64(used.Utime.Nano()+used.Stime.Nano())/1e9)
	return nil
}
