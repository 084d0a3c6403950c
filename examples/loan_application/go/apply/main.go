// Starts one loan application and waits for its result: apply [APPLICANT]
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"go.temporal.io/sdk/client"

	"perdure.example/loan"
)

func main() {
	applicant := "Ada"
	if len(os.Args) > 1 {
		applicant = os.Args[1]
	}
	connection, err := client.Dial(client.Options{HostPort: loan.Address()})
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	options := client.StartWorkflowOptions{ID: "loan-" + applicant, TaskQueue: loan.TaskQueue}
	run, err := connection.ExecuteWorkflow(context.Background(), options, loan.LoanApplication, applicant)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("started %s, run %s\n", run.GetID(), run.GetRunID())
	var result string
	if err := run.Get(context.Background(), &result); err != nil {
		log.Fatal(err)
	}
	fmt.Println(result)
}
