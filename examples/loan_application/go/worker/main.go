// Runs the workflow and the activity of the loan application until interrupted.
package main

import (
	"log"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"perdure.example/loan"
)

func main() {
	connection, err := client.Dial(client.Options{HostPort: loan.Address()})
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	loans := worker.New(connection, loan.TaskQueue, worker.Options{})
	loans.RegisterWorkflow(loan.LoanApplication)
	loans.RegisterActivity(loan.NotifyApplicant)
	if err := loans.Run(worker.InterruptCh()); err != nil {
		log.Fatal(err)
	}
}
