package compat

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
)

// runWorkerProcess is what this test binary does instead of testing when a scenario needs a worker in a process of its own:
//
//	hang      its activity never ends
//	block     its workflow task never ends
//	stops     stops in an orderly way when interrupted
//	uncached  has no workflow cache; the third activity of Steps succeeds only once the process has been interrupted
func runWorkerProcess(kind, queue string) {
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	connection, err := dial()
	if err != nil {
		panic(err)
	}
	if kind == "uncached" {
		worker.SetStickyWorkflowCacheSize(0)
	}
	made := worker.New(connection, queue, worker.Options{StickyScheduleToStartTimeout: 2 * time.Second, DeadlockDetectionTimeout: time.Hour})
	made.RegisterWorkflow(Collects)
	made.RegisterWorkflow(Nothing)
	made.RegisterWorkflow(OneActivity)
	made.RegisterWorkflow(Steps)
	goOn := make(chan struct{})
	work := any(hang)
	if kind == "uncached" {
		work = func(_ context.Context, number int) (int, error) {
			select {
			case <-goOn:
			default:
				if number == 2 {
					return 0, errors.New("not yet")
				}
			}
			return number * 10, nil
		}
	}
	made.RegisterActivityWithOptions(work, activity.RegisterOptions{Name: "work"})
	if err := made.Start(); err != nil {
		panic(err)
	}
	fmt.Println("ready")
	<-interrupted
	if kind == "uncached" {
		close(goOn)
		<-interrupted // never comes: the scenario kills this process at its end
	}
	made.Stop()
}
