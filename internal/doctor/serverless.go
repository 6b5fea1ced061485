package doctor

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"greenroom"
)

// ServerlessOptions say what deploy/aws has made, as the configuration of the functions names it.
type ServerlessOptions struct {
	AWS aws.Config

	// Table, Queue and Group look at them; each error says in a sentence what is wrong.
	Table, Queue, Group func(ctx context.Context) error

	TableName    string
	QueueARN     string
	DeadLetters  string // ARN of the dead-letter queue
	GroupName    string // of schedules
	ScheduleRole string // ARN

	Zone            string // desktops are named below it
	Route53         string // id of the hosted zone; empty: somebody else serves the zone
	APITokens       string // name of the secret with organisers' tokens
	Cloudflare      string // name of the secret with Cloudflare's token; empty means none
	InstanceProfile string // of desktops; empty means none

	// Roles are the ARNs of the functions' roles, by function. With none, whoever asks is looked at, as if he were all of them.
	Roles map[string]string

	Within time.Duration // for all looks together; a minute
}

const deployAgain = "deploy the template of this version again (docs/serverless.md), and see whether a policy of your organisation forbids it"

// CheckServerless looks whether a greenroom without servers has what it needs in the account. It changes nothing there.
func CheckServerless(ctx context.Context, o ServerlessOptions) []Finding {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.Within, awsTimeout))
	defer cancel()
	s := serverless{ServerlessOptions: o, iam: iam.NewFromConfig(o.AWS)}
	who, err := sts.NewFromConfig(o.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return nil // CheckAWS has said so
	}
	s.caller, err = arn.Parse(aws.ToString(who.Arn))
	if err != nil {
		return []Finding{{Check: "aws permissions", Detail: short(err), Fix: "ask AWS who these credentials are: aws sts get-caller-identity"}}
	}
	out := []Finding{
		looked(ctx, "aws table", o.TableName, "dynamodb:DescribeTable and dynamodb:DescribeTimeToLive", o.Table),
		looked(ctx, "aws queue", o.QueueARN, "sqs:GetQueueAttributes", o.Queue),
		looked(ctx, "aws schedules", o.GroupName, "scheduler:GetScheduleGroup", o.Group),
		s.scheduleRole(ctx),
	}
	out = append(out, s.mappings(ctx)...)
	return append(out, s.permissions(ctx)...)
}

type serverless struct {
	ServerlessOptions
	caller arn.ARN
	iam    *iam.Client
}

// looked is what a look found. What may not be looked at may be well all the same.
func looked(ctx context.Context, check, what, needs string, look func(context.Context) error) Finding {
	f := Finding{Check: check, OK: true, Detail: what + " is correct"}
	if err := look(ctx); err != nil {
		f.OK, f.Note = false, denied(err)
		f.Detail, f.Fix = short(err), greenroom.Sentence(err, "see that the stack of deploy/aws is there, in this region")
		if f.Note {
			f.Fix = "allow " + needs + " for the caller, to check it"
		}
	}
	return f
}

func denied(err error) bool {
	api, ok := errors.AsType[smithy.APIError](err)
	return ok && strings.HasPrefix(api.ErrorCode(), "AccessDenied")
}

// scheduleRole looks whether EventBridge Scheduler may take the role. What it may do then is looked at with the others'.
func (s serverless) scheduleRole(ctx context.Context) Finding {
	const check, fix = "aws schedule role", "take serverless.schedule_role from the outputs of the stack of deploy/aws, or deploy it again"
	out, err := s.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(nameOf(s.ScheduleRole))})
	switch {
	case err != nil && denied(err):
		return Finding{Check: check, Note: true, Detail: short(err), Fix: "allow iam:GetRole for the caller, to check it"}
	case err != nil:
		return Finding{Check: check, Detail: short(err), Fix: fix}
	case aws.ToString(out.Role.Arn) != s.ScheduleRole:
		return Finding{Check: check, Detail: fmt.Sprintf("%s is %s here", nameOf(s.ScheduleRole), aws.ToString(out.Role.Arn)), Fix: fix}
	case !trusts(aws.ToString(out.Role.AssumeRolePolicyDocument), "scheduler.amazonaws.com"):
		return Finding{Check: check, Detail: s.ScheduleRole + " does not trust EventBridge Scheduler, so that no wake would arrive", Fix: "let scheduler.amazonaws.com assume it, as deploy/aws does"}
	}
	return Finding{Check: check, OK: true, Detail: s.ScheduleRole + " trusts EventBridge Scheduler"}
}

// trusts reports whether a role's policy, as IAM gives it, lets the service assume it. A condition on it is taken for right.
func trusts(policy, service string) bool {
	text, err := url.QueryUnescape(policy)
	var doc struct {
		Statement []struct {
			Effect    string
			Principal map[string]any
		}
	}
	if err != nil || json.Unmarshal([]byte(text), &doc) != nil {
		return false
	}
	for _, st := range doc.Statement {
		if st.Effect == "Allow" && strings.Contains(" "+fmt.Sprint(st.Principal["Service"])+" ", service) {
			return true
		}
	}
	return false
}

// nameOf is a role's name without its path.
func nameOf(role string) string { return role[strings.LastIndex(role, "/")+1:] }

// mappings looks whether Lambda reads the queue and the stream.
func (s serverless) mappings(ctx context.Context) []Finding {
	api := lambda.NewFromConfig(s.AWS)
	states := map[string]string{}
	for marker := (*string)(nil); ; {
		page, err := api.ListEventSourceMappings(ctx, &lambda.ListEventSourceMappingsInput{Marker: marker})
		if err != nil {
			return []Finding{{Check: "aws mappings", Note: true, Detail: short(err), Fix: "allow lambda:ListEventSourceMappings for the caller, to check it"}}
		}
		for _, m := range page.EventSourceMappings {
			if source := aws.ToString(m.EventSourceArn); states[source] != "Enabled" {
				states[source] = aws.ToString(m.State)
			}
		}
		if marker = page.NextMarker; aws.ToString(marker) == "" {
			break
		}
	}
	stream := ""
	for source := range states { // a table has had several streams if it was switched off and on
		if strings.Contains(source, ":table/"+s.TableName+"/stream/") && (stream == "" || states[source] == "Enabled") {
			stream = source
		}
	}
	return []Finding{
		mapped("aws wakes", "the queue", s.QueueARN, states),
		mapped("aws changes", "the table's stream", stream, states),
	}
}

func mapped(check, what, source string, states map[string]string) Finding {
	switch state := states[source]; state {
	case "Enabled":
		return Finding{Check: check, OK: true, Detail: "a function is called for " + what}
	case "Creating", "Enabling", "Updating":
		return Finding{Check: check, Note: true, Detail: "the mapping of " + what + " is not ready yet: " + state, Fix: "ask again in a minute"}
	case "":
		return Finding{Check: check, Detail: "no function is called for " + what, Fix: deployAgain}
	default:
		return Finding{Check: check, Detail: fmt.Sprintf("no function is called for %s: its mapping is %s", what, state), Fix: "enable it: aws lambda update-event-source-mapping --enabled --uuid …, with the UUID that aws lambda list-event-source-mappings tells"}
	}
}

// words are what an installation has made of its own, for Of.
func (s serverless) words(desktopRole string) map[string]string {
	return map[string]string{
		"partition": s.caller.Partition, "region": s.AWS.Region, "account": s.caller.AccountID, "stack": s.GroupName,
		"table": s.TableName, "queue": s.QueueARN, "deadletters": s.DeadLetters, "group": s.GroupName, "schedulerole": s.ScheduleRole,
		"desktoprole": desktopRole, "zone": s.Route53, "zonename": s.Zone, "tokens": s.APITokens, "cloudflare": s.Cloudflare,
	}
}

// desktopRole is that of the instance profile.
func (s serverless) desktopRole(ctx context.Context) (string, error) {
	if s.InstanceProfile == "" {
		return "", nil
	}
	out, err := s.iam.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String(s.InstanceProfile)})
	if err != nil {
		return "", fmt.Errorf("look at the instance profile: %w", err)
	}
	if len(out.InstanceProfile.Roles) == 0 {
		return "", fmt.Errorf("the instance profile %s has no role", s.InstanceProfile)
	}
	return aws.ToString(out.InstanceProfile.Roles[0].Arn), nil
}
