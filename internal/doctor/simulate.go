package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"golang.org/x/sync/errgroup"
)

// simulations bounds how many are asked for at once.
const simulations = 4

// subject is whose permissions are looked at.
type subject struct {
	check, arn string
	needs      []Permission
}

// permissions asks IAM whether the functions' roles may do what the functions do.
func (s serverless) permissions(ctx context.Context) []Finding {
	var out []Finding
	desktop, err := s.desktopRole(ctx)
	if err != nil {
		f := Finding{Check: "aws instance profile", Note: denied(err), Detail: short(err), Fix: "correct instance_profile: it names an instance profile of this account with one role"}
		if f.Note {
			f.Fix = "allow iam:GetInstanceProfile for the caller, to check it"
		}
		out = append(out, f)
	}
	words := s.words(desktop)
	subjects := []subject{{"aws permissions of schedules", s.ScheduleRole, []Permission{
		{Action: "sqs:SendMessage", Resource: s.QueueARN}, {Action: "sqs:SendMessage", Resource: s.DeadLetters},
	}}}
	if len(s.Roles) == 0 {
		mine := subject{"aws permissions of who asks", s.principal(), nil}
		for _, f := range Functions() {
			mine.needs = append(mine.needs, Of(f, words)...)
		}
		subjects = append(subjects, mine)
	}
	for _, f := range Functions() {
		if role := s.Roles[f]; role != "" {
			subjects = append(subjects, subject{"aws permissions of " + f, role, Of(f, words)})
		}
	}
	for _, who := range subjects {
		out = append(out, s.may(ctx, who))
	}
	return out
}

// principal is who asks, as IAM knows him: behind a session stands its role. The path of a role is not in a session's name.
func (s serverless) principal() string {
	p := s.caller
	if role, session := strings.CutPrefix(p.Resource, "assumed-role/"); session {
		name, _, _ := strings.Cut(role, "/")
		p.Service, p.Resource = "iam", "role/"+name
	}
	return p.String()
}

// may asks for everything that one subject needs.
func (s serverless) may(ctx context.Context, who subject) Finding {
	groups := map[string][]Permission{}
	for _, p := range who.needs {
		key := fmt.Sprint(p.Resource, p.Context)
		if !slices.ContainsFunc(groups[key], func(o Permission) bool { return o.Action == p.Action }) {
			groups[key] = append(groups[key], p)
		}
	}
	keys := slices.Sorted(maps.Keys(groups))
	refused := make([][]string, len(keys))
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(simulations)
	for i, key := range keys {
		all.Go(func() (err error) {
			refused[i], err = s.simulate(ctx, who.arn, groups[key])
			return err
		})
	}
	f := Finding{Check: who.check}
	err := all.Wait()
	missing := slices.Concat(refused...)
	_, gone := errors.AsType[*types.NoSuchEntityException](err)
	switch {
	case gone:
		f.Detail, f.Fix = "there is no "+who.arn, "take the roles from the outputs of the stack of deploy/aws"
	case err != nil:
		f.Note, f.Detail, f.Fix = true, short(err), "allow iam:SimulatePrincipalPolicy for the caller, to check the permissions"
	case len(missing) > 0:
		f.Detail, f.Fix = fmt.Sprintf("%s may not %s", who.arn, strings.Join(missing, ", nor ")), deployAgain
	default:
		f.OK, f.Detail = true, fmt.Sprintf("%s may do all of %d things", who.arn, len(who.needs))
	}
	return f
}

// simulate returns what of the actions, which are on one resource in one context, is refused.
func (s serverless) simulate(ctx context.Context, principal string, needs []Permission) ([]string, error) {
	in := &iam.SimulatePrincipalPolicyInput{PolicySourceArn: aws.String(principal), ResourceArns: []string{needs[0].Resource}}
	for _, p := range needs {
		in.ActionNames = append(in.ActionNames, p.Action)
	}
	for _, key := range slices.Sorted(maps.Keys(needs[0].Context)) {
		kind := types.ContextKeyTypeEnumString
		if strings.HasPrefix(key, "route53:") {
			kind = types.ContextKeyTypeEnumStringList
		}
		in.ContextEntries = append(in.ContextEntries, types.ContextEntry{ContextKeyName: aws.String(key), ContextKeyType: kind, ContextKeyValues: []string{needs[0].Context[key]}})
	}
	out, err := s.iam.SimulatePrincipalPolicy(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("simulate: %w", err)
	}
	var refused []string
	for _, r := range out.EvaluationResults {
		if r.EvalDecision != types.PolicyEvaluationDecisionTypeAllowed {
			refused = append(refused, fmt.Sprintf("%s on %s", aws.ToString(r.EvalActionName), needs[0].Resource))
		}
	}
	return refused, nil
}
