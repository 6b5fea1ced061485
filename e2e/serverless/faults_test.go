package serverless

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"greenroom"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/testenv/lambdatest"
)

// TestKilledAnywhere leads meetings while functions are killed at every 25th call of AWS, before it takes hold or after, and EC2
// tells nothing.
func TestKilledAnywhere(t *testing.T) {
	t.Parallel()
	c := deploy(t)
	c.run(false)
	c.boot()
	c.killEvery.Store(25)
	var ids []string
	for _, title := range []string{"One", "Two", "Three"} {
		var m wire.Meeting
		c.until("a meeting to be accepted", func(ctx context.Context) bool {
			var err error
			m, err = c.api.Schedule(ctx, wire.Schedule{Title: title, StartsAt: time.Now().Add(time.Minute).UTC().Format(time.RFC3339), Duration: "1h"}, "killed-"+title)
			return err == nil
		})
		ids = append(ids, m.ID)
	}
	for _, id := range ids {
		c.becomes(id, "desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	}
	for _, id := range ids {
		c.until("the end to be accepted", func(ctx context.Context) bool { _, err := c.api.End(ctx, id); return err == nil })
	}
	for _, id := range ids {
		c.becomes(id, "the end", func(m wire.Meeting) bool { return m.State == greenroom.Ended })
	}
	c.killEvery.Store(0)
	c.nothingLeft()
	c.oneMachinePerAttempt()
	t.Logf("%d sandboxes were killed at their work", c.killed.Load())
	if c.killed.Load() < 10 {
		t.Errorf("only %d sandboxes were killed at their work", c.killed.Load())
	}
}

// oneMachinePerAttempt checks that no call was carried out twice.
func (c *cloud) oneMachinePerAttempt() {
	c.t.Helper()
	calls := map[string]int{}
	for _, m := range c.ec2.Machines() {
		calls[m.Token+" "+m.Subnet+" "+string(rune('0'+m.Index))]++
	}
	for call, n := range calls {
		if n > 1 {
			c.t.Errorf("%d machines of one place in one call: %s", n, call)
		}
	}
}

// TestForeignEvents hands every function what is not meant for it.
func TestForeignEvents(t *testing.T) {
	t.Parallel()
	c := deploy(t)
	said := map[string]string{
		"http": "not a request in payload format 2.0", "wake": "not a wake of greenroom's", "change": "not from the stream of greenroom's table", "instance": "not a change of a machine's state",
	}
	events := []string{
		``, `null`, `[]`, `{}`, `"text"`, `{"Records":[]}`, `{"Records":[{"eventSource":"aws:s3","s3":{"bucket":{"name":"x"}}}]}`,
		`{"version":"1.0","httpMethod":"GET","path":"/"}`, `{"detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","detail":{"instance-id":"i-0123456789abcdef0"}}`,
		`{"detail-type":"EC2 Instance State-change Notification","source":"aws.ec2","detail":{"instance-id":"../../etc","state":"running"}}`,
		`{"meeting":"x"}`, strings.Repeat(`{"a":`, 5000),
	}
	for name, words := range said {
		for _, event := range events {
			_, err := c.functions[name].Invoke(t.Context(), []byte(event))
			if said, ok := errors.AsType[*lambdatest.Error](err); !ok || event != "" && !strings.Contains(said.Message, words) && !strings.Contains(said.Message, "unexpected end") {
				t.Errorf("%s answers %.60s with %v", name, event, err)
			}
		}
	}
	for name, event := range map[string]string{ // somebody else's, and ours in form
		"instance": string(stateChange("i-0123456789abcdef0", "running")), "wake": `{"meeting":"zzzzzzzzzzzzzzzz"}`,
		"change": `{"Records":[{"eventSource":"aws:dynamodb","dynamodb":{"Keys":{"pk":{"S":"S#owner"},"sk":{"S":"-"}},"SequenceNumber":"1"}}]}`,
	} {
		if _, err := c.functions[name].Invoke(t.Context(), []byte(event)); err != nil {
			t.Errorf("%s does not pass over %s: %v", name, event, err)
		}
	}
	if n := len(c.ec2.Machines()); n != 0 {
		t.Errorf("%d machines were launched", n)
	}
}

// TestAMessageThatIsNoneEndsAmongTheDead lets others wait for nothing.
func TestAMessageThatIsNoneEndsAmongTheDead(t *testing.T) {
	t.Parallel()
	c := deploy(t)
	c.run(true)
	c.boot()
	c.ring(t.Context(), `{"meeting":"nonsense"}`)
	m := c.schedule("Beside", time.Minute)
	c.becomes(m.ID, "desktops", func(m wire.Meeting) bool { return all(m, greenroom.Ready) })
	c.until("the dead letter", func(context.Context) bool {
		return slices.Equal(c.received(c.deadQueue), []string{`{"meeting":"nonsense"}`})
	})
}

// TestAWrongImageIsToldBeforeTheStart and launches nothing.
func TestAWrongImageIsToldBeforeTheStart(t *testing.T) {
	t.Parallel()
	c := deploy(t, "GREENROOM_BLUEPRINTS_DEFAULT_IMAGE=ami-0fffffffffffffff0")
	c.run(true)
	m := c.schedule("Wrong image", 5*time.Minute)
	m = c.becomes(m.ID, "the reason", func(m wire.Meeting) bool { return m.Seats[0].Desktop.Error != nil })
	if got := *m.Seats[0].Desktop.Error; !strings.Contains(got, "image does not exist") {
		t.Errorf("it says %q", got)
	}
	if n := len(c.ec2.Machines()); n != 0 {
		t.Errorf("%d machines were launched", n)
	}
}

// TestWhatIsMissingIsSaid to operators in the log, and to people without a word that helps nobody.
func TestWhatIsMissingIsSaid(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		env    string
		spoil  func(t *testing.T, c *cloud)
		logged string
	}{
		"the table": {"", func(t *testing.T, c *cloud) {
			c.must(dynamodb.NewFromConfig(c.table).DeleteTable(t.Context(), &dynamodb.DeleteTableInput{TableName: aws.String(c.name)}))
		}, "does not exist in eu-west-1: make it with deploy/aws"},
		"the tokens": {"GREENROOM_SERVERLESS_API_TOKENS=secret://aws/no-such-secret", nil, "serverless.api_tokens"},
		"a disk":     {"GREENROOM_CERTIFICATES_AT_END=revoke", nil, "certificates.at_end: must be expire: revoking needs a disk"},
		"the queue":  {"GREENROOM_SERVERLESS_QUEUE=", nil, "serverless.queue: must be the address of the queue"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var env []string
			if c.env != "" {
				env = append(env, c.env)
			}
			cloud := deploy(t, env...)
			if c.spoil != nil {
				c.spoil(t, cloud)
			}
			_, err := cloud.api.Schedule(t.Context(), wire.Schedule{Title: "x", StartsAt: "now"}, "")
			if err == nil || strings.Contains(err.Error(), cloud.name) || !strings.Contains(err.Error(), "moment") && !strings.Contains(err.Error(), "cannot save") {
				t.Errorf("people are told: %v", err)
			}
			if log := cloud.functions["http"].Log(); !strings.Contains(log, c.logged) {
				t.Errorf("%q is not in the log:\n%s", c.logged, log)
			}
		})
	}
}
