package serverless

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// run lets events flow, as the mappings, rules and schedules of deploy/aws do: table to change, queue to wake, schedules to
// queue, machines to instance unless told is false.
func (c *cloud) run(told bool) {
	ctx, cancel := context.WithCancel(context.Background())
	c.pumps.Go(func() { c.pumpStream(ctx) })
	for range 2 { // as many as MaximumConcurrency says
		c.pumps.Go(func() { c.pumpQueue(ctx) })
	}
	c.pumps.Go(func() { c.pumpSchedules(ctx) })
	if told {
		c.pumps.Go(func() { c.pumpMachines(ctx) })
	}
	c.t.Cleanup(func() { cancel(); c.pumps.Wait() })
}

// each calls f again and again until ctx ends.
func each(ctx context.Context, pause time.Duration, f func()) {
	for ctx.Err() == nil {
		f()
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// pumpStream hands the records of every shard to change, in order; what fails comes again.
func (c *cloud) pumpStream(ctx context.Context) {
	api := dynamodbstreams.NewFromConfig(c.table)
	about, err := dynamodb.NewFromConfig(c.table).DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(c.name)})
	if err != nil {
		c.t.Error(err)
		return
	}
	var shards sync.WaitGroup
	known := map[string]bool{}
	each(ctx, 2*time.Second, func() {
		out, err := api.DescribeStream(ctx, &dynamodbstreams.DescribeStreamInput{StreamArn: about.Table.LatestStreamArn})
		if err != nil {
			return
		}
		for _, s := range out.StreamDescription.Shards {
			if !known[*s.ShardId] {
				known[*s.ShardId] = true
				shards.Go(func() { c.pumpShard(ctx, api, about.Table.LatestStreamArn, s.ShardId) })
			}
		}
	})
	shards.Wait()
}

func (c *cloud) pumpShard(ctx context.Context, api *dynamodbstreams.Client, stream, shard *string) {
	at, err := api.GetShardIterator(ctx, &dynamodbstreams.GetShardIteratorInput{StreamArn: stream, ShardId: shard, ShardIteratorType: streams.ShardIteratorTypeTrimHorizon})
	if err != nil {
		return
	}
	next := at.ShardIterator
	each(ctx, 250*time.Millisecond, func() {
		if next == nil {
			<-ctx.Done()
			return
		}
		out, err := api.GetRecords(ctx, &dynamodbstreams.GetRecordsInput{ShardIterator: next})
		if err != nil {
			return
		}
		next = out.NextShardIterator
		for batch := changes(out.Records); len(batch) > 0 && ctx.Err() == nil; {
			answer, ok := c.invoke(ctx, "change", event(batch))
			if ok {
				batch = after(batch, failures(answer))
			}
		}
	})
}

// changes are records as Lambda hands them on, of the meetings alone: the mapping filters the others out.
func changes(records []streams.Record) (out []map[string]any) {
	for _, r := range records {
		keys := map[string]any{}
		for name, value := range r.Dynamodb.Keys {
			if text, ok := value.(*streams.AttributeValueMemberS); ok {
				keys[name] = map[string]string{"S": text.Value}
			}
		}
		if fmt.Sprint(keys["sk"]) != "map[S:m]" {
			continue
		}
		out = append(out, map[string]any{"eventID": *r.EventID, "eventName": r.EventName, "eventSource": "aws:dynamodb", "awsRegion": region,
			"dynamodb": map[string]any{"Keys": keys, "SequenceNumber": *r.Dynamodb.SequenceNumber, "StreamViewType": "KEYS_ONLY"}})
	}
	return out
}

// after is what of a batch comes again: from the first record that failed on.
func after(batch []map[string]any, failed map[string]bool) []map[string]any {
	for i, r := range batch {
		if failed[r["dynamodb"].(map[string]any)["SequenceNumber"].(string)] {
			return batch[i:]
		}
	}
	return nil
}

func event(records []map[string]any) []byte {
	doc, _ := json.Marshal(map[string]any{"Records": records})
	return doc
}

func failures(answer []byte) map[string]bool {
	var out struct {
		Failures []struct {
			Item string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	_ = json.Unmarshal(answer, &out)
	failed := map[string]bool{}
	for _, f := range out.Failures {
		failed[f.Item] = true
	}
	return failed
}

// mostReceived is after how many tries a message is laid among the dead letters.
const mostReceived = 8

// pumpQueue hands messages to wake and removes what it answered for.
func (c *cloud) pumpQueue(ctx context.Context) {
	each(ctx, 100*time.Millisecond, func() {
		out, err := c.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: aws.String(c.queue), MaxNumberOfMessages: 10, VisibilityTimeout: 30, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"ApproximateReceiveCount"},
		})
		if err != nil || len(out.Messages) == 0 {
			return
		}
		var records []map[string]any
		for _, m := range out.Messages {
			records = append(records, map[string]any{"messageId": *m.MessageId, "receiptHandle": *m.ReceiptHandle, "body": *m.Body, "eventSource": "aws:sqs", "eventSourceARN": arnOf(c.name)})
		}
		answer, ok := c.invoke(ctx, "wake", event(records))
		failed := failures(answer)
		for _, m := range out.Messages {
			switch {
			case ok && !failed[*m.MessageId]:
				_, _ = c.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(c.queue), ReceiptHandle: m.ReceiptHandle})
			case m.Attributes["ApproximateReceiveCount"] == fmt.Sprint(mostReceived):
				_, _ = c.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(c.deadQueue), MessageBody: m.Body})
				_, _ = c.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: aws.String(c.queue), ReceiptHandle: m.ReceiptHandle})
			default:
				_, _ = c.sqs.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: aws.String(c.queue), ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 2})
			}
		}
	})
}

// aMinute is that of recurring schedules: waiting for whole ones shows nothing more.
const aMinute = 10 * time.Second

// deletedAfter is how long a schedule that has rung is still there: whoever changes it meanwhile loses the change.
const deletedAfter = 5 * time.Second

// pumpSchedules rings what is due, and each minute what says so. moto keeps schedules and never rings them.
func (c *cloud) pumpSchedules(ctx context.Context) {
	rung := map[string]time.Time{}
	each(ctx, time.Second, func() {
		list, err := c.scheduler.ListSchedules(ctx, &scheduler.ListSchedulesInput{GroupName: aws.String(c.name)})
		if err != nil {
			return
		}
		for _, s := range list.Schedules {
			got, err := c.scheduler.GetSchedule(ctx, &scheduler.GetScheduleInput{GroupName: aws.String(c.name), Name: s.Name})
			if err != nil {
				continue
			}
			if *got.ScheduleExpression == "rate(1 minute)" {
				if first, ok := rung[*s.Name]; !ok {
					rung[*s.Name] = time.Now()
				} else if time.Since(first) > aMinute && !c.still.Load() {
					rung[*s.Name] = time.Now()
					c.ring(ctx, *got.Target.Input)
				}
				continue
			}
			at, err := time.Parse("at(2006-01-02T15:04:05)", *got.ScheduleExpression)
			if err != nil {
				c.t.Errorf("the schedule %s is %q", *s.Name, *got.ScheduleExpression)
			}
			if first, ok := rung[*s.Name]; !ok && time.Now().After(at) {
				rung[*s.Name] = time.Now()
				c.ring(ctx, *got.Target.Input)
			} else if ok && time.Since(first) > deletedAfter {
				_, _ = c.scheduler.DeleteSchedule(ctx, &scheduler.DeleteScheduleInput{GroupName: aws.String(c.name), Name: s.Name})
			}
		}
	})
}

func (c *cloud) ring(ctx context.Context, input string) {
	_, _ = c.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: aws.String(c.queue), MessageBody: aws.String(input)})
}

// pumpMachines tells of every change of a machine's state.
func (c *cloud) pumpMachines(ctx context.Context) {
	known := map[string]string{}
	each(ctx, 500*time.Millisecond, func() {
		for _, m := range c.ec2.Machines() {
			if known[m.ID] == m.State {
				continue
			}
			known[m.ID] = m.State
			if _, ok := c.invoke(ctx, "instance", stateChange(m.ID, m.State)); !ok {
				delete(known, m.ID) // Lambda tries again
			}
		}
	})
}

// stateChange is the event as EC2 documents it.
func stateChange(id, state string) []byte {
	return []byte(strings.NewReplacer("ID", id, "STATE", state).Replace(`{"id":"7bf73129-1428-4cd3-a780-95db273d1602","detail-type":"EC2 Instance State-change Notification","source":"aws.ec2",` +
		`"account":"123456789012","time":"2026-11-11T21:29:54Z","region":"eu-west-1","resources":["arn:aws:ec2:eu-west-1:123456789012:instance/ID"],"detail":{"instance-id":"ID","state":"STATE"}}`))
}
