// Package aws_test checks the template as far as that is possible without an account: it is linted, compared with the program
// it is for, and made on a stand-in for AWS.
package aws_test

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"greenroom/internal/app/lambda"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
	"greenroom/internal/store/dynamostore"
)

const file = "template.yaml"

// object is a mapping of the template, whose short functions (!Ref) are written out ({"Ref": …}).
type object = map[string]any

// template reads the template anew, so that a test may change it.
func template(t *testing.T) object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	return plain(t, doc.Content[0]).(object)
}

func plain(t *testing.T, n *yaml.Node) any {
	t.Helper()
	var v any
	switch n.Kind {
	case yaml.MappingNode:
		m := object{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if _, twice := m[n.Content[i].Value]; twice {
				t.Errorf("line %d: duplicate key %s", n.Content[i].Line, n.Content[i].Value)
			}
			m[n.Content[i].Value] = plain(t, n.Content[i+1])
		}
		v = m
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, plain(t, item))
		}
		v = list
	case yaml.ScalarNode:
		v = n.Value
		if !strings.HasPrefix(n.Tag, "!") || strings.HasPrefix(n.Tag, "!!") {
			if err := n.Decode(&v); err != nil {
				t.Fatal(err)
			}
		}
	default:
		t.Fatalf("line %d: CloudFormation knows no anchors", n.Line)
	}
	name, short := strings.CutPrefix(n.Tag, "!")
	switch {
	case !short || strings.HasPrefix(name, "!"):
		return v
	case name == "Ref":
		return object{"Ref": v}
	case name == "GetAtt":
		of, attribute, _ := strings.Cut(v.(string), ".")
		return object{"Fn::GetAtt": []any{of, attribute}}
	}
	return object{"Fn::" + name: v}
}

// resources are those of a type, by name.
func resources(doc object, kind string) map[string]object {
	out := map[string]object{}
	for name, r := range doc["Resources"].(object) {
		if r.(object)["Type"] == kind {
			out[name] = r.(object)["Properties"].(object)
		}
	}
	return out
}

func TestLint(t *testing.T) {
	t.Parallel()
	const python = "../../.cache/cfn-lint/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Fatal("this test needs cfn-lint, which is not installed: scripts/setup.sh test installs it")
	}
	if out, err := exec.CommandContext(t.Context(), python, "-c", "import sys; from cfnlint.runner import main; sys.exit(main())", "--non-zero-exit-code", "warning", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTable keeps the template's table the one that the store expects.
func TestTable(t *testing.T) {
	t.Parallel()
	table := resources(template(t), "AWS::DynamoDB::Table")["Table"]
	want := dynamostore.Definition("")
	stream := table["StreamSpecification"].(object)
	got := object{
		"BillingMode": table["BillingMode"], "KeySchema": table["KeySchema"],
		"StreamSpecification": object{"StreamEnabled": true, "StreamViewType": stream["StreamViewType"]}, // CloudFormation enables it by naming its view
	}
	for _, list := range []struct{ field, by string }{{"AttributeDefinitions", "AttributeName"}, {"GlobalSecondaryIndexes", "IndexName"}} {
		got[list.field] = sorted(table[list.field].([]any), list.by)
	}
	expected := object{
		"BillingMode": want.BillingMode, "KeySchema": want.KeySchema, "StreamSpecification": want.StreamSpecification,
		"AttributeDefinitions":   sorted(asJSON[[]any](t, want.AttributeDefinitions), "AttributeName"),
		"GlobalSecondaryIndexes": sorted(asJSON[[]any](t, want.GlobalSecondaryIndexes), "IndexName"),
	}
	if diff := cmp.Diff(asJSON[object](t, expected), asJSON[object](t, got)); diff != "" {
		t.Errorf("the template's table is not the store's (-store +template):\n%s", diff)
	}
	if life := table["TimeToLiveSpecification"].(object); life["AttributeName"] != "ttl" || life["Enabled"] != true {
		t.Errorf("expiry is %v", life)
	}
	for policy, want := range map[string]string{"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"} {
		if p := template(t)["Resources"].(object)["Table"].(object)[policy]; p != want {
			t.Errorf("%s of the table is %v: deleting the stack would delete everybody's meetings", policy, p)
		}
	}
}

func sorted(list []any, by string) []any {
	return slices.SortedFunc(slices.Values(list), func(a, b any) int {
		return strings.Compare(a.(object)[by].(string), b.(object)[by].(string))
	})
}

// asJSON turns v into what its JSON holds, without what is null or empty.
func asJSON[T any](t *testing.T, v any) T {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out T
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return filled(out).(T)
}

func filled(v any) any {
	switch v := v.(type) {
	case object:
		maps.DeleteFunc(v, func(_ string, x any) bool { return x == nil || x == "" })
		for k := range v {
			v[k] = filled(v[k])
		}
	case []any:
		for i := range v {
			v[i] = filled(v[i])
		}
	}
	return v
}

// handlers are the functions, as the two programs know them, in the order of their names.
var handlers = []string{string(lambda.Change), string(lambda.HTTP), string(lambda.Instance), string(lambda.Sweep), string(lambda.Wake)}

func TestFunctions(t *testing.T) {
	t.Parallel()
	var found []string
	var first object
	for name, f := range resources(template(t), "AWS::Lambda::Function") {
		found = append(found, f["Handler"].(string))
		if f["Runtime"] != "provided.al2023" {
			t.Errorf("%s runs on %v", name, f["Runtime"])
		}
		key := "CodeKey"
		if f["Handler"] == string(lambda.HTTP) {
			key = "HttpCodeKey"
		}
		if diff := cmp.Diff(object{"S3Bucket": object{"Ref": "CodeBucket"}, "S3Key": object{"Ref": key}}, f["Code"]); diff != "" {
			t.Errorf("%s runs another package:\n%s", name, diff)
		}
		environment := f["Environment"].(object)["Variables"].(object)
		for _, address := range []string{"GREENROOM_PUBLIC_URL", "GREENROOM_CONTROL_URL"} {
			if environment[address] == nil {
				t.Errorf("%s is not told %s", name, address)
			}
			delete(environment, address) // http knows its address from its requests
		}
		if first == nil {
			first = environment
		}
		if diff := cmp.Diff(first, environment); diff != "" {
			t.Errorf("%s is told something else than the others:\n%s", name, diff)
		}
	}
	if slices.Sort(found); !slices.Equal(found, handlers) {
		t.Errorf("the functions are %v, and must be %v", found, handlers)
	}
	if listed := slices.Sorted(slices.Values(doctor.Functions())); !slices.Equal(listed, handlers) {
		t.Errorf("the doctor knows the functions %v, and they are %v", listed, handlers)
	}
}

// TestEnvironment keeps the template to keys that the configuration has.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	_, _ = config.Load("", func(name string) string { known[name] = true; return "" }, nil)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') }) {
		if strings.HasPrefix(word, "GREENROOM_") {
			seen++
			if !known[word] {
				t.Errorf("%s is no key of the configuration", word)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d variables were found", seen)
	}
}
