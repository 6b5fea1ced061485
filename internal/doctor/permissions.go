package doctor

import (
	"slices"
	"strings"
)

// Functions of a greenroom without servers, each with a role of its own.
const (
	funcHTTP     = "http"
	funcWake     = "wake"
	funcInstance = "instance"
	funcChange   = "change"
	funcSweep    = "sweep"
)

// Functions are their names: the handlers of cmd/greenroom-lambda and cmd/greenroom-lambda-http.
func Functions() []string { return []string{funcHTTP, funcWake, funcInstance, funcChange, funcSweep} }

// Permission is one action of AWS that some of the functions take.
type Permission struct {
	Action    string
	Resource  string            // ARN, with ${…} for what an installation has made of its own; * where AWS knows no resources
	Context   map[string]string // what AWS is told with the call, and a policy may ask for
	Functions []string
}

// tag is how greenroom's machines are marked. Any owner is as good as another here.
const tag = "greenroom:owner"

// Permissions are all that the functions need, and nothing more: deploy/aws grants it, a test compares, and CheckServerless
// tries it. What an installation does not use (another name server, no secret) has an empty word in its resource, and is left
// out when that is tried.
func Permissions() []Permission {
	var (
		all     = Functions()
		people  = []string{funcHTTP}
		waking  = []string{funcWake}
		stream  = []string{funcChange}
		meeting = []string{funcHTTP, funcWake, funcSweep}                 // who reads and saves meetings
		timing  = []string{funcWake, funcChange}                          // who sets wakes
		asking  = []string{funcWake, funcInstance, funcChange, funcSweep} // who sends messages
		ending  = []string{funcWake, funcSweep}                           // who lets each minute be swept, and removes machines
		moving  = []string{funcWake}                                      // who calls Advance
		later   = []string{funcInstance, funcChange, funcSweep}           // who is called again by AWS, and then given up

		born  = map[string]string{"aws:RequestTag/" + tag: "doctor"}
		ours  = map[string]string{"aws:ResourceTag/" + tag: "doctor"}
		atRun = map[string]string{"ec2:CreateAction": "RunInstances"}
	)
	passed := func(service string) map[string]string {
		return map[string]string{"iam:PassedToService": service + ".amazonaws.com"}
	}
	const (
		table    = "arn:${partition}:dynamodb:${region}:${account}:table/${table}"
		ec2      = "arn:${partition}:ec2:${region}:${account}:"
		ec2All   = "arn:${partition}:ec2:${region}::"
		schedule = "arn:${partition}:scheduler:${region}:${account}:schedule/${group}/meeting"
		sweeps   = "arn:${partition}:scheduler:${region}:${account}:schedule/${group}/sweep"
		zone     = "arn:${partition}:route53:::hostedzone/${zone}"
		secret   = "arn:${partition}:secretsmanager:${region}:${account}:secret:"
		log      = "arn:${partition}:logs:${region}:${account}:log-group:/aws/lambda/${stack}-${function}:log-stream:stream"
	)
	out := []Permission{
		{"dynamodb:GetItem", table, nil, all},
		{"dynamodb:BatchGetItem", table, nil, meeting},
		{"dynamodb:Query", table, nil, meeting},
		{"dynamodb:Query", table + "/index/due", nil, meeting},
		{"dynamodb:PutItem", table, nil, meeting},
		{"dynamodb:BatchWriteItem", table, nil, meeting},
		{"dynamodb:DeleteItem", table, nil, meeting},

		{"sqs:SendMessage", "${queue}", nil, asking},
		{"scheduler:CreateSchedule", schedule, nil, timing},
		{"scheduler:CreateSchedule", sweeps, nil, ending},
		{"scheduler:DeleteSchedule", sweeps, nil, ending},
		{"iam:PassRole", "${schedulerole}", passed("scheduler"), []string{funcWake, funcChange, funcSweep}},

		{"ec2:DescribeInstances", "*", nil, meeting},
		{"ec2:DescribeImages", "*", nil, moving},
		{"ec2:RunInstances", ec2 + "instance/*", born, moving},
		{"ec2:RunInstances", ec2 + "volume/*", born, moving},
		{"ec2:RunInstances", ec2All + "image/ami-0", nil, moving},
		{"ec2:RunInstances", ec2All + "snapshot/snap-0", nil, moving},
		{"ec2:RunInstances", ec2 + "subnet/subnet-0", nil, moving},
		{"ec2:RunInstances", ec2 + "security-group/sg-0", nil, moving},
		{"ec2:RunInstances", ec2 + "network-interface/*", nil, moving},
		{"ec2:RunInstances", ec2 + "key-pair/key", nil, moving},
		{"ec2:RunInstances", ec2 + "launch-template/lt-0", nil, moving},
		{"ec2:RunInstances", ec2 + "spot-instances-request/*", nil, moving},
		{"ec2:CreateTags", ec2 + "instance/*", atRun, moving},
		{"ec2:CreateTags", ec2 + "volume/*", atRun, moving},
		{"ec2:TerminateInstances", ec2 + "instance/i-0", ours, ending},
		{"iam:PassRole", "${desktoprole}", passed("ec2"), moving},

		// Certificates are proved by texts in the zone while desktops enrol, so http writes there, too.
		{"route53:ListResourceRecordSets", zone, nil, meeting},
		{"route53:ChangeResourceRecordSets", zone, map[string]string{
			"route53:ChangeResourceRecordSetsRecordTypes": "A", "route53:ChangeResourceRecordSetsNormalizedRecordNames": "i-0.${zonename}",
		}, meeting},
		// A change has an id of its own; the zone's stands for it, so that it is left out without one.
		{"route53:GetChange", "arn:${partition}:route53:::change/${zone}", nil, meeting},
		{"secretsmanager:GetSecretValue", secret + "${tokens}-abcdef", nil, people},
		{"secretsmanager:GetSecretValue", secret + "${cloudflare}-abcdef", nil, meeting},
	}
	// What Lambda does in a function's name.
	return append(out, []Permission{
		{"sqs:ReceiveMessage", "${queue}", nil, waking},
		{"sqs:DeleteMessage", "${queue}", nil, waking},
		{"sqs:GetQueueAttributes", "${queue}", nil, waking},
		{"dynamodb:DescribeStream", table + "/stream/2026", nil, stream},
		{"dynamodb:GetRecords", table + "/stream/2026", nil, stream},
		{"dynamodb:GetShardIterator", table + "/stream/2026", nil, stream},
		{"dynamodb:ListStreams", table + "/stream/2026", nil, stream},
		{"sqs:SendMessage", "${deadletters}", nil, later},
		{"logs:CreateLogStream", log, nil, all},
		{"logs:PutLogEvents", log, nil, all},
	}...)
}

// Of writes the permissions of a function out with an installation's words, and leaves out what it does not use.
func Of(function string, words map[string]string) []Permission {
	var out []Permission
	for _, p := range Permissions() {
		if !slices.Contains(p.Functions, function) || !used(p, words) {
			continue
		}
		fill := func(text string) string {
			for word, value := range words {
				text = strings.ReplaceAll(text, "${"+word+"}", value)
			}
			return strings.ReplaceAll(text, "${function}", function)
		}
		filled := Permission{Action: p.Action, Resource: fill(p.Resource), Context: map[string]string{}, Functions: p.Functions}
		for key, value := range p.Context {
			filled.Context[key] = fill(value)
		}
		out = append(out, filled)
	}
	return out
}

func used(p Permission, words map[string]string) bool {
	for word, value := range words {
		if value == "" && strings.Contains(p.Resource, "${"+word+"}") {
			return false
		}
	}
	return true
}
