package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"greenroom"
	"greenroom/internal/doctor"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/iamtest"
	"greenroom/internal/testenv/moto"
)

// installation is what deploy/aws would have made, but for the functions: its own test looks at them.
type installation struct {
	name    string
	cfg     aws.Config
	options doctor.ServerlessOptions
	wakes   awsscheduler.Options
	table   string
}

// copied may be spoilt without the others noticing.
func (i *installation) copied() *installation {
	c := *i
	c.options.Roles = maps.Clone(i.options.Roles)
	return &c
}

// install makes it. One role may do everything.
func install(t *testing.T) *installation {
	t.Helper()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(moto.Start(t)), Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", "")}
	i := &installation{name: "greenroom-" + greenroom.NewMeetingID()[:8], cfg: cfg}
	i.table = i.name
	if err := dynamostore.CreateTable(t.Context(), dynamostore.Options{AWS: cfg, Table: i.table}); err != nil {
		t.Fatal(err)
	}
	if _, err := scheduler.NewFromConfig(cfg).CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: &i.name}); err != nil {
		t.Fatal(err)
	}
	const queues = "arn:aws:sqs:eu-west-1:123456789012:"
	queue, err := sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(i.name + "-dead")})
	if err == nil {
		queue, err = sqs.NewFromConfig(cfg).CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &i.name, Attributes: map[string]string{
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn": "%s%s-dead", "maxReceiveCount": 5}`, queues, i.name)}})
	}
	if err != nil {
		t.Fatal(err)
	}
	i.wakes = awsscheduler.Options{AWS: cfg, Group: i.name, Queue: *queue.QueueUrl, Target: queues + i.name, DeadLetters: queues + i.name + "-dead"}
	role := i.role(t, "scheduler.amazonaws.com")
	i.options = doctor.ServerlessOptions{
		TableName: i.table, QueueARN: i.wakes.Target, DeadLetters: i.wakes.DeadLetters, GroupName: i.name, ScheduleRole: role,
		Zone: "desk.example.com", Route53: "Z0123456789ABCDEFGHIJ", APITokens: "greenroom/api-tokens", Roles: map[string]string{"http": role, "wake": role},
	}
	return i
}

// role makes one that a service may take, and that may do everything but what is left out.
func (i *installation) role(t *testing.T, service string, leftOut ...string) string {
	t.Helper()
	var actions []string
	for _, p := range doctor.Permissions() {
		if !slices.Contains(leftOut, p.Action) {
			actions = append(actions, p.Action)
		}
	}
	policy, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{"Effect": "Allow", "Action": actions, "Resource": "*"}}})
	if err != nil {
		t.Fatal(err)
	}
	api := iam.NewFromConfig(i.cfg)
	name := aws.String(i.name + "-" + strings.ReplaceAll(service, ".", "-"))
	out, err := api.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: name, AssumeRolePolicyDocument: aws.String(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"` + service + `"},"Action":"sts:AssumeRole"}]}`)})
	if err == nil {
		_, err = api.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: name, PolicyName: aws.String("all"), PolicyDocument: aws.String(string(policy))})
	}
	if err != nil {
		t.Fatal(err)
	}
	return *out.Role.Arn
}

// look asks the doctor; by check.
func (i *installation) look(t *testing.T, denies bool) map[string]doctor.Finding {
	t.Helper()
	server := iamtest.Start(t, i.cfg)
	server.Denies = denies
	i.options.AWS = i.cfg.Copy()
	i.options.AWS.BaseEndpoint = aws.String(server.URL)
	table := dynamostore.New(dynamostore.Options{AWS: i.cfg, Table: i.table})
	wakes := awsscheduler.New(i.wakes)
	if i.options.Table == nil {
		i.options.Table = table.Check
	}
	i.options.Queue, i.options.Group = wakes.CheckQueue, wakes.CheckGroup
	out := map[string]doctor.Finding{}
	for _, f := range doctor.CheckServerless(t.Context(), i.options) {
		out[f.Check] = f
		if !f.OK && f.Fix == "" {
			t.Errorf("%s says what is wrong (%s) and not what to do", f.Check, f.Detail)
		}
	}
	return out
}

func TestCheckServerless(t *testing.T) {
	t.Parallel()
	whole, ok := install(t), func(*testing.T, *installation) {}
	for _, c := range []struct {
		name, check, says string
		sees              string // in the detail
		denies, note      bool
		spoil             func(t *testing.T, i *installation)
	}{
		{name: "AllIsWell", spoil: ok},
		{name: "NoTable", check: "aws table", says: "does not exist in eu-west-1: make it with deploy/aws", spoil: func(_ *testing.T, i *installation) { i.table = "greenroom-of-nobody" }},
		{name: "NoStream", check: "aws table", says: "no stream", spoil: func(t *testing.T, i *installation) {
			in := dynamostore.Definition(i.name + "-quiet")
			in.StreamSpecification = nil
			i.table = *in.TableName
			if _, err := dynamodb.NewFromConfig(i.cfg).CreateTable(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "TableHidden", check: "aws table", says: "allow dynamodb:DescribeTable", note: true, spoil: func(_ *testing.T, i *installation) {
			i.options.Table = func(context.Context) error {
				return &greenroom.UserError{Message: "AWS refuses it.", Cause: hidden{}}
			}
		}},
		{name: "NoQueue", check: "aws queue", says: "does not exist", spoil: func(_ *testing.T, i *installation) { i.wakes.Queue += "-of-nobody" }},
		{name: "OtherQueue", check: "aws queue", says: "from the same stack", spoil: func(_ *testing.T, i *installation) { i.wakes.Queue += "-dead" }},
		{name: "NoRedrive", check: "aws queue", says: "give it the redrive policy", spoil: func(_ *testing.T, i *installation) {
			i.wakes.Queue, i.wakes.Target = i.wakes.Queue+"-dead", i.wakes.DeadLetters
		}},
		{name: "OtherDeadLetters", check: "aws queue", says: "fix serverless.dead_letters", spoil: func(_ *testing.T, i *installation) { i.wakes.DeadLetters += "s" }},
		{name: "WrongGroup", check: "aws schedules", says: "group greenroom-of-nobody of schedules does not exist: make it with deploy/aws", spoil: func(_ *testing.T, i *installation) { i.wakes.Group = "greenroom-of-nobody" }},
		{name: "NoScheduleRole", check: "aws schedule role", says: "from the outputs", spoil: func(_ *testing.T, i *installation) { i.options.ScheduleRole += "-of-nobody" }},
		{name: "ScheduleRoleOfOthers", check: "aws schedule role", says: "let scheduler.amazonaws.com assume it", spoil: func(t *testing.T, i *installation) {
			i.options.ScheduleRole = i.role(t, "lambda.amazonaws.com")
		}},
		{name: "MayNotEnd", check: "aws permissions of wake", says: "deploy the template of this version again", sees: "may not ec2:TerminateInstances on arn:aws:ec2:eu-west-1:123456789012:instance/i-0", spoil: func(t *testing.T, i *installation) {
			i.options.Roles["wake"] = i.role(t, "ec2.amazonaws.com", "ec2:TerminateInstances")
		}},
		{name: "NoRole", check: "aws permissions of http", says: "from the outputs", spoil: func(_ *testing.T, i *installation) { i.options.Roles["http"] += "-of-nobody" }},
		{name: "MayNotAsk", check: "aws permissions of wake", says: "allow iam:SimulatePrincipalPolicy", denies: true, note: true, spoil: ok},
		{name: "NoProfile", check: "aws instance profile", says: "correct instance_profile", spoil: func(_ *testing.T, i *installation) { i.options.InstanceProfile = "desktop-of-nobody" }},
		{name: "NoMapping", check: "aws wakes", says: "deploy the template", spoil: ok},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			i := whole.copied()
			c.spoil(t, i)
			found := i.look(t, c.denies)
			for check, f := range found {
				expected := check == c.check || check == "aws wakes" || check == "aws changes" || c.denies
				if !f.OK && !expected && !strings.HasPrefix(check, "aws permissions") {
					t.Errorf("%+v", f)
				}
			}
			if c.check == "" {
				return
			}
			if f := found[c.check]; f.OK || f.Note != c.note || !strings.Contains(f.Fix, c.says) || !strings.Contains(f.Detail, c.sees) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// hidden is how AWS refuses.
type hidden struct{}

func (hidden) Error() string                 { return "api error AccessDeniedException: not authorized" }
func (hidden) ErrorCode() string             { return "AccessDeniedException" }
func (hidden) ErrorMessage() string          { return "not authorized" }
func (hidden) ErrorFault() smithy.ErrorFault { return smithy.FaultClient }

// TestWhoAsks looks at the caller when no roles are given: behind moto's session there is no role, which is said.
func TestWhoAsks(t *testing.T) {
	t.Parallel()
	i := install(t)
	i.options.Roles = nil
	if f := i.look(t, false)["aws permissions of who asks"]; f.OK || f.Fix == "" {
		t.Errorf("%+v", f)
	}
}

func TestCheckServerlessWithoutCredentials(t *testing.T) {
	t.Parallel()
	cfg := aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String("http://127.0.0.1:1"), Credentials: aws.AnonymousCredentials{}}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if f := doctor.CheckServerless(ctx, doctor.ServerlessOptions{AWS: cfg}); len(f) != 0 {
		t.Errorf("%+v", f)
	}
}
