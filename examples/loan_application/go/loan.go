// Package loan is the loan application: one workflow, one activity that calls somebody else's unreliable API.
package loan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

const TaskQueue = "loan-application"

// Address of the Temporal-compatible server.
func Address() string { return fromEnvironment("TEMPORAL_ADDRESS", "127.0.0.1:7233") }

func fromEnvironment(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// NotifyApplicant fails when the other side does, and the server schedules the next attempt.
func NotifyApplicant(ctx context.Context, applicant string) (string, error) {
	body, err := json.Marshal(map[string]string{"applicant": applicant})
	if err != nil {
		return "", err
	}
	url := fromEnvironment("NOTIFICATION_URL", "http://127.0.0.1:8099/notify")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the notification service answered %s", response.Status)
	}
	var answer struct{ Notified string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return "", err
	}
	return answer.Notified, nil
}

func LoanApplication(ctx workflow.Context, applicant string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 5 * time.Second,
		RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1},
	})
	var notified string
	if err := workflow.ExecuteActivity(ctx, NotifyApplicant, applicant).Get(ctx, &notified); err != nil {
		return "", err
	}
	return fmt.Sprintf("loan application of %s is complete", notified), nil
}
