package aws_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/doctor"
)

// statement is one of a role's, as the template has it.
type statement struct {
	actions, resources []any
	condition          any
}

// granted lists what each role of the template may.
func granted(t *testing.T, doc object) map[string][]statement {
	t.Helper()
	out := map[string][]statement{}
	add := func(role string, policy object) {
		for _, s := range policy["PolicyDocument"].(object)["Statement"].([]any) {
			s := s.(object)
			if s["Effect"] != "Allow" {
				t.Errorf("%s: the tests know no %v", role, s["Effect"])
			}
			out[role] = append(out[role], statement{several(s["Action"]), several(s["Resource"]), s["Condition"]})
		}
	}
	for name, role := range resources(doc, "AWS::IAM::Role") {
		for _, policy := range several(role["Policies"]) {
			add(name, policy.(object))
		}
		if role["ManagedPolicyArns"] != nil {
			t.Errorf("%s has policies that are not in the template", name)
		}
	}
	for _, policy := range resources(doc, "AWS::IAM::Policy") {
		for _, role := range policy["Roles"].([]any) {
			add(role.(object)["Ref"].(string), policy)
		}
	}
	return out
}

func several(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

// roleOf is the role of the function with that handler.
func roleOf(t *testing.T, doc object, handler string) string {
	t.Helper()
	for _, f := range resources(doc, "AWS::Lambda::Function") {
		if f["Handler"] == handler {
			return f["Role"].(object)["Fn::GetAtt"].([]any)[0].(string)
		}
	}
	t.Fatalf("no function has the handler %s", handler)
	return ""
}

// TestGrants keeps the template's roles and the doctor's list the same, action by action and function by function.
func TestGrants(t *testing.T) {
	t.Parallel()
	doc := template(t)
	all := granted(t, doc)
	for _, handler := range handlers {
		has, needs := map[string]bool{}, map[string]bool{}
		for _, s := range all[roleOf(t, doc, handler)] {
			for _, action := range s.actions {
				has[action.(string)] = true
			}
		}
		for _, p := range doctor.Of(handler, nil) {
			needs[p.Action] = true
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(needs)), slices.Sorted(maps.Keys(has))); diff != "" {
			t.Errorf("%s is granted something else than it needs (-needs +granted):\n%s", handler, diff)
		}
	}
}

// everywhere are the actions that may be granted on every resource, and why.
var everywhere = map[string]string{
	"ec2:DescribeInstances": "EC2 knows no resources for it",
	"ec2:DescribeImages":    "EC2 knows no resources for it",
}

func TestNothingIsGrantedEverywhere(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for role, statements := range granted(t, template(t)) {
		for _, s := range statements {
			for _, action := range s.actions {
				if strings.Contains(action.(string), "*") {
					t.Errorf("%s is granted %s", role, action)
				}
				if !slices.Contains(s.resources, any("*")) {
					continue
				}
				if used[action.(string)] = true; everywhere[action.(string)] == "" {
					t.Errorf("%s is granted %s on everything", role, action)
				}
			}
		}
	}
	for action := range everywhere {
		if !used[action] {
			t.Errorf("%s needs no exception any more", action)
		}
	}
}

// TestRolesAreForOne lets each role be passed to one service only, and machines be made and ended with greenroom's tag only.
func TestRolesAreForOne(t *testing.T) {
	t.Parallel()
	conditions := map[string]string{
		"iam:PassRole": "iam:PassedToService", "ec2:TerminateInstances": "aws:ResourceTag/greenroom:owner", "ec2:CreateTags": "ec2:CreateAction",
		"route53:ChangeResourceRecordSets": "route53:ChangeResourceRecordSetsNormalizedRecordNames",
	}
	for role, statements := range granted(t, template(t)) {
		for _, s := range statements {
			for _, action := range s.actions {
				condition := fmt.Sprint(s.condition)
				if want := conditions[action.(string)]; want != "" && !strings.Contains(condition, want) {
					t.Errorf("%s is granted %s without a look at %s", role, action, want)
				}
				machine := strings.Contains(fmt.Sprint(s.resources), ":instance/")
				if action == "ec2:RunInstances" && machine && !strings.Contains(condition, "aws:RequestTag/greenroom:owner") {
					t.Errorf("%s may start machines without greenroom's tag", role)
				}
			}
		}
	}
}

// speakers are the packages of the functions that speak to AWS.
var speakers = []string{"store/dynamostore", "scheduler/awsscheduler", "compute/ec2compute", "dns/route53dns", "secrets/awssecrets"}

// otherwise says what a call needs that has no action of its name, or is not made by functions.
var otherwise = map[string]string{
	"dynamodb:TransactWriteItems": "dynamodb:PutItem",                                                                                   // the transactions only put
	"dynamodb:CreateTable":        "", "dynamodb:UpdateTimeToLive": "", "dynamodb:DescribeTable": "", "dynamodb:DescribeTimeToLive": "", // deploy/aws and doctor
	"dynamodbstreams:DescribeStream": "", "dynamodbstreams:GetRecords": "", "dynamodbstreams:GetShardIterator": "", // Lambda reads the stream
	"scheduler:GetScheduleGroup": "", "sqs:GetQueueAttributes": "", // doctor
	"route53:GetHostedZone": "", "route53:ListHostedZonesByName": "", "route53:GetAccountLimit": "", "route53:GetHostedZoneLimit": "", "route53:GetDNSSEC": "", // doctor, or without dns.zone_id, which the template wants
}

var asked = regexp.MustCompile(`\b(dynamodb|dynamodbstreams|scheduler|sqs|ec2|route53|secretsmanager)\.([A-Z][A-Za-z0-9]+)Input\{`)

// TestCallsAreListed finds every call to AWS that the packages of the functions make in the doctor's list.
func TestCallsAreListed(t *testing.T) {
	t.Parallel()
	listed, seen := map[string]bool{"": true}, map[string]bool{}
	for _, p := range doctor.Permissions() {
		listed[p.Action] = true
	}
	for _, dir := range speakers {
		err := filepath.WalkDir(filepath.Join("../../internal", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, call := range asked.FindAllStringSubmatch(string(text), -1) {
				action := call[1] + ":" + call[2]
				seen[action] = true
				if needs, known := otherwise[action]; known {
					action = needs
				}
				if !listed[action] {
					t.Errorf("%s calls %s, which the doctor's list of permissions does not have", path, action)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(seen) < 15 {
		t.Errorf("only %d calls were found: %v", len(seen), slices.Sorted(maps.Keys(seen)))
	}
}
