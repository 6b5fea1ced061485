package serverless

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/dynamolocal"
	"greenroom/internal/testenv/lambdatest"
	"greenroom/internal/testenv/moto"
)

// peer is the least that a function of the source idea's kind does: Python, boto3, one read of the table, over the same
// runtime API.
const peer = `#!PYTHON
import json, os, urllib.request
import boto3
api = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
table = boto3.client("dynamodb")
while True:
    with urllib.request.urlopen(api + "next") as r:
        request, event = r.headers["Lambda-Runtime-Aws-Request-Id"], json.load(r)
    found = table.get_item(TableName=os.environ["GREENROOM_SERVERLESS_TABLE"], Key={"pk": {"S": "M#" + event["meeting"]}, "sk": {"S": "m"}}, ConsistentRead=True)
    urllib.request.urlopen(urllib.request.Request(api + request + "/response", data=json.dumps({"found": "Item" in found}).encode()))
`

// BenchmarkColdStart starts a function's process, hands it a wake, and waits for its answer, which needs one read of the table.
// Beside it stands the same in Python with boto3; goal: a tenth.
func BenchmarkColdStart(b *testing.B) {
	python, err := moto.Python()
	if err != nil {
		b.Fatal(err)
	}
	script := filepath.Join(b.TempDir(), "peer.py")
	if err := os.WriteFile(script, []byte("#!"+python+peer[len("#!PYTHON"):]), 0o700); err != nil {
		b.Fatal(err)
	}
	table := dynamolocal.Account(b)
	if err := dynamostore.CreateTable(b.Context(), dynamostore.Options{AWS: table, Table: "greenroom"}); err != nil {
		b.Fatal(err)
	}
	creds, err := table.Credentials.Retrieve(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	env := append(leastEnv(), "AWS_REGION="+region, "AWS_DEFAULT_REGION="+region, "AWS_ACCESS_KEY_ID="+creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_ENDPOINT_URL_DYNAMODB="+*table.BaseEndpoint, "GREENROOM_SERVERLESS_TABLE=greenroom")
	var ours, theirs []time.Duration
	cold := func(program string) time.Duration {
		f := lambdatest.New(b, "wake", program, time.Minute, env...)
		defer f.Stop()
		began := time.Now()
		if _, err := f.Invoke(b.Context(), []byte(`{"meeting":"zzzzzzzzzzzzzzzz"}`)); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	cold(program)
	cold(script) // both are read from the disk once
	for b.Loop() {
		ours, theirs = append(ours, cold(program)), append(theirs, cold(script))
	}
	middle := func(times []time.Duration) float64 {
		slices.Sort(times)
		return float64(times[len(times)/2].Microseconds()) / 1000
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(middle(ours), "ms/greenroom")
	b.ReportMetric(middle(theirs), "ms/boto3")
	b.ReportMetric(middle(ours)/middle(theirs), "ratio")
}

// leastEnv is a configuration that is whole.
func leastEnv() []string {
	return []string{
		"GREENROOM_SERVERLESS_QUEUE=http://127.0.0.1/queue", "GREENROOM_SERVERLESS_QUEUE_ARN=" + arnOf("wakes"), "GREENROOM_SERVERLESS_DEAD_LETTERS=" + arnOf("dead"),
		"GREENROOM_SERVERLESS_SCHEDULE_GROUP=greenroom", "GREENROOM_SERVERLESS_SCHEDULE_ROLE=arn:aws:iam::" + account + ":role/schedules",
		"GREENROOM_SERVERLESS_API_TOKENS=secret://aws/greenroom", "GREENROOM_PUBLIC_URL=https://meet.example.com", "GREENROOM_ZONE=desk.example.com",
		"GREENROOM_DNS_PROVIDER=route53", "GREENROOM_BLUEPRINTS_DEFAULT_PROVIDER=ec2", "GREENROOM_BLUEPRINTS_DEFAULT_PROTOCOL=dcv",
		"GREENROOM_BLUEPRINTS_DEFAULT_IMAGE=ami-0123456789abcdef0", "GREENROOM_BLUEPRINTS_DEFAULT_INSTANCE_TYPES=t3.large",
	}
}
