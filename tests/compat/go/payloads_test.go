package compat

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

const recordedPayloads = "../../../sdk/tests/payloads/go.json"

type payloadLine struct {
	Count int    `json:"count"`
	Sku   string `json:"sku"`
}
type payloadOrder struct {
	Express bool          `json:"express"`
	ID      string        `json:"id"`
	Lines   []payloadLine `json:"lines"`
	Note    *string       `json:"note"`
}
type payloadPerson struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
}

// What is recorded of a payload, or of a failure.
type written struct {
	Metadata map[string]string `json:"metadata,omitempty"`
	Data     []byte            `json:"data"`
	Failure  []byte            `json:"failure,omitempty"`
}

func withoutOrigin(failure *failurepb.Failure) {
	for ; failure != nil; failure = failure.Cause {
		failure.Source, failure.StackTrace = "", ""
	}
}

func allWritten(t *testing.T) map[string]written {
	values := map[string]any{
		"text": "Ann", "escapes": "a\"b\\c\n\r\t\b\f\x01", "not ASCII": "é😀", "markup": "<a&b>", "empty text": "",
		"zero": 0, "negative": -7, "large": int64(9007199254740993), "fraction": 0.1, "whole": 3.0, "hundred thousand": 100000.0,
		"huge": 1e21, "tiny": 1e-7, "true": true, "nothing": nil, "bytes": []byte{0, 255}, "no bytes": []byte{}, "list": []int{1, 2, 3},
		"empty list": []int{}, "map": map[string]int{"a": 1, "b": 2},
		"struct":   payloadOrder{Express: true, ID: "o1", Lines: []payloadLine{{2, "a"}}},
		"disorder": payloadPerson{"Ann", 7}, "nested": [][]float64{{1.5}, {}},
		"message": &commonpb.WorkflowExecution{WorkflowId: "w", RunId: "r"},
	}
	all := map[string]written{}
	for name, value := range values {
		payload, err := converter.GetDefaultDataConverter().ToPayload(value)
		if err != nil {
			t.Fatal(err)
		}
		metadata := map[string]string{}
		for key, text := range payload.Metadata {
			metadata[key] = string(text)
		}
		data := payload.Data
		if metadata["encoding"] == "json/protobuf" { // this library puts in spaces or not, as a build happens to be
			var compact bytes.Buffer
			if err := json.Compact(&compact, data); err != nil {
				t.Fatal(err)
			}
			data = compact.Bytes()
		}
		all[name] = written{Metadata: metadata, Data: data}
	}
	failures := map[string]error{
		"refusal": temporal.NewApplicationErrorWithOptions("no", "Refusal", temporal.ApplicationErrorOptions{
			NonRetryable: true, Details: []any{1, "x"}, NextRetryDelay: 5 * time.Second}),
		"caused": temporal.NewApplicationErrorWithCause("outer", "Outer",
			temporal.NewApplicationError("inner", "Inner")),
		"cancelled": temporal.NewCanceledError("why"),
	}
	for name, err := range failures {
		failure := temporal.GetDefaultFailureConverter().ErrorToFailure(err)
		withoutOrigin(failure)
		encoded, err := proto.MarshalOptions{Deterministic: true}.Marshal(failure)
		if err != nil {
			t.Fatal(err)
		}
		all["failure "+name] = written{Failure: encoded}
	}
	return all
}

// What this SDK writes is what the C++ SDK's test compares itself with. PERDURE_RECORD_PAYLOADS=1 writes it down.
func TestPayloads(t *testing.T) {
	all := allWritten(t)
	if os.Getenv("PERDURE_RECORD_PAYLOADS") != "" {
		text, _ := json.MarshalIndent(all, "", " ")
		if err := os.WriteFile(recordedPayloads, append(text, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	text, err := os.ReadFile(recordedPayloads)
	if err != nil {
		t.Fatal(err)
	}
	recorded := map[string]written{}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	for name, now := range all {
		was := recorded[name]
		if !reflect.DeepEqual(was.Metadata, now.Metadata) || string(was.Data) != string(now.Data) || string(was.Failure) != string(now.Failure) {
			t.Errorf("%s: recorded %v, now %v", name, was, now)
		}
	}
	if len(recorded) != len(all) {
		t.Errorf("%d are recorded, %d are written", len(recorded), len(all))
	}
}
