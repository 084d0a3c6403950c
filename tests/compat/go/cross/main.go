// Command cross puts two letters into the mailbox of a C++ workflow, asks it after each how many there are, and prints the
// answers and the workflow's result: cross WORKFLOW_ID
package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
)

type person struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(id string) error {
	ctx := context.Background()
	connection, err := client.Dial(client.Options{HostPort: os.Getenv("PERDURE_ADDRESS"),
		Logger: log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))})
	if err != nil {
		return err
	}
	defer connection.Close()
	for _, name := range []string{"Ann", "Bob"} {
		if err := connection.SignalWorkflow(ctx, id, "", "put", person{name, 41}); err != nil {
			return err
		}
		answer, err := connection.QueryWorkflow(ctx, id, "", "count")
		if err != nil {
			return err
		}
		var count int
		if err := answer.Get(&count); err != nil {
			return err
		}
		fmt.Println(count)
	}
	var letters []string
	if err := connection.GetWorkflow(ctx, id, "").Get(ctx, &letters); err != nil {
		return err
	}
	fmt.Println(letters)
	return nil
}
