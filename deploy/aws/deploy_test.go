package aws_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"

	"greenroom"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/iamtest"
	"greenroom/internal/testenv/moto"
)

// stack is the template made on moto's server.
type stack struct {
	cfg     aws.Config
	name    string
	outputs map[string]string
}

// unmade are types that moto's CloudFormation does not know. What others take of them is written in instead.
var unmade = []string{"AWS::Scheduler::ScheduleGroup", "AWS::Lambda::Url", "AWS::Lambda::EventInvokeConfig", "AWS::SQS::QueuePolicy", "AWS::CloudWatch::Alarm", "AWS::Lambda::Permission"}

const hostOfURL = "abc123.lambda-url.eu-west-1.on.aws"

func account(t *testing.T) aws.Config {
	t.Helper()
	return aws.Config{Region: "eu-west-1", BaseEndpoint: aws.String(moto.Start(t)), Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", "")}
}

// profile makes an instance profile with a role of the same name.
func profile(t *testing.T, name string) string {
	t.Helper()
	api := iam.NewFromConfig(account(t))
	_, err := api.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: aws.String("{}")})
	if err == nil {
		_, err = api.CreateInstanceProfile(t.Context(), &iam.CreateInstanceProfileInput{InstanceProfileName: &name})
	}
	if err == nil {
		_, err = api.AddRoleToInstanceProfile(t.Context(), &iam.AddRoleToInstanceProfileInput{InstanceProfileName: &name, RoleName: &name})
	}
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// deploy makes a stack of its own; given are its parameters, beside those that the network of moto's account asks for.
func deploy(t *testing.T, given map[string]string) *stack {
	t.Helper()
	s := &stack{name: "greenroom-" + strings.ToLower(greenroom.NewMeetingID()[:8]), cfg: account(t)}
	if _, err := scheduler.NewFromConfig(s.cfg).CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String(s.name)}); err != nil {
		t.Fatal(err)
	}
	network, err := ec2.NewFromConfig(s.cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	images, err := ec2.NewFromConfig(s.cfg).DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	if err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{
		"CodeBucket": s.name, "CodeKey": "greenroom.zip", "HttpCodeKey": "http.zip", "Zone": "desk.example.com", "Image": aws.ToString(images.Images[0].ImageId), "VpcId": aws.ToString(network.Subnets[0].VpcId),
		"Subnets": aws.ToString(network.Subnets[0].SubnetId) + "," + aws.ToString(network.Subnets[1].SubnetId), "DnsZoneId": "Z0123456789ABCDEFGHIJ",
	}
	maps.Copy(parameters, given)
	const here = `<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>`
	s.call(t, http.MethodPut, "/"+s.name, "s3", here)
	for _, key := range []string{"greenroom.zip", "http.zip"} {
		s.call(t, http.MethodPut, "/"+s.name+"/"+key, "s3", "no program")
	}
	s.create(t, s.makeable(t), parameters)
	return s
}

// makeable is the template as moto can make it.
func (s *stack) makeable(t *testing.T) string {
	t.Helper()
	doc := template(t)
	all := doc["Resources"].(object)
	for name, r := range all {
		if slices.Contains(unmade, r.(object)["Type"].(string)) {
			delete(all, name)
		}
	}
	for name, role := range resources(doc, "AWS::IAM::Role") { // moto keeps policies within a role in a form that is not JSON
		for i, policy := range role["Policies"].([]any) {
			policy.(object)["Roles"] = []any{object{"Ref": name}}
			hoisted := object{"Type": "AWS::IAM::Policy", "Properties": policy}
			if condition := all[name].(object)["Condition"]; condition != nil {
				hoisted["Condition"] = condition
			}
			all[fmt.Sprintf("%sPolicy%d", name, i)] = hoisted
		}
		delete(role, "Policies")
	}
	delete(doc, "Rules")
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	group := fmt.Sprintf("arn:aws:scheduler:%s:123456789012:schedule-group/%s", s.cfg.Region, s.name)
	return strings.NewReplacer(
		`{"Ref":"ScheduleGroup"}`, `"`+s.name+`"`, `${ScheduleGroup}`, s.name, `{"Fn::GetAtt":["ScheduleGroup","Arn"]}`, `"`+group+`"`,
		`{"Fn::GetAtt":["Address","FunctionUrl"]}`, `"https://`+hostOfURL+`/"`,
	).Replace(string(text))
}

// create makes the stack by CloudFormation's own protocol, and reads its outputs.
func (s *stack) create(t *testing.T, body string, parameters map[string]string) {
	t.Helper()
	form := url.Values{"Action": {"CreateStack"}, "StackName": {s.name}, "TemplateBody": {body}}
	for i, key := range slices.Sorted(maps.Keys(parameters)) {
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterKey", i+1), key)
		form.Set(fmt.Sprintf("Parameters.member.%d.ParameterValue", i+1), parameters[key])
	}
	s.formation(t, form)
	var answer struct {
		Status  string `xml:"DescribeStacksResult>Stacks>member>StackStatus"`
		Outputs []struct {
			Key   string `xml:"OutputKey"`
			Value string `xml:"OutputValue"`
		} `xml:"DescribeStacksResult>Stacks>member>Outputs>member"`
	}
	if err := xml.Unmarshal(s.formation(t, url.Values{"Action": {"DescribeStacks"}, "StackName": {s.name}}), &answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "CREATE_COMPLETE" {
		t.Fatalf("the stack is %s", answer.Status)
	}
	s.outputs = map[string]string{}
	for _, o := range answer.Outputs {
		s.outputs[o.Key] = o.Value
	}
}

func (s *stack) formation(t *testing.T, form url.Values) []byte {
	t.Helper()
	form.Set("Version", "2010-05-15")
	return s.call(t, http.MethodPost, "/", "cloudformation", form.Encode())
}

// call speaks a protocol for which the program has no client.
func (s *stack) call(t *testing.T, method, path, service, body string) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, *s.cfg.BaseEndpoint+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if service == "cloudformation" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=TEST/20261101/"+s.cfg.Region+"/"+service+"/aws4_request, SignedHeaders=host, Signature=0")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s of %s: %s, %v\n%s", method, path, service, answer.Status, err, text)
	}
	return text
}

// environment is what a function is told, read without the SDK: moto answers numbers where AWS answers texts.
func (s *stack) environment(t *testing.T, function string) map[string]string {
	t.Helper()
	var answer struct{ Environment struct{ Variables object } }
	if err := json.Unmarshal(s.call(t, http.MethodGet, "/2015-03-31/functions/"+s.name+"-"+function+"/configuration", "lambda", ""), &answer); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for key, value := range answer.Environment.Variables {
		out[key] = fmt.Sprint(value)
	}
	return out
}

func roles(t *testing.T, s *stack) map[string]string {
	t.Helper()
	out := map[string]string{}
	for pair := range strings.SplitSeq(s.outputs["Roles"], ",") {
		function, role, _ := strings.Cut(pair, "=")
		out[function] = role
	}
	if len(out) != len(handlers) {
		t.Fatalf("the output Roles is %q", s.outputs["Roles"])
	}
	return out
}

func TestDeploy(t *testing.T) {
	t.Parallel()
	desktop := profile(t, "desktop-of-others")
	for _, c := range []struct {
		name  string
		given map[string]string
		sees  map[string]string
	}{
		{"Route53", nil, map[string]string{"GREENROOM_DNS_TOKEN": "", "GREENROOM_CERTIFICATES_ISSUER": "acme", "GREENROOM_PUBLIC_URL": "https://" + hostOfURL}},
		{"Cloudflare", map[string]string{
			"DnsProvider": "cloudflare", "DnsZoneId": "", "DnsProxied": "true", "CloudflareSecret": "greenroom/cloudflare", "CertificatesIssuer": "cloudflare-origin",
			"CertificatesRootsFile": "origin.pem", "VpcId": "", "SecurityGroups": "sg-0123456789abcdef0", "InstanceProfile": desktop, "DesktopRoleName": desktop, "PublicUrl": "https://meet.example.com",
		}, map[string]string{"GREENROOM_DNS_TOKEN": "secret://aws/greenroom/cloudflare", "GREENROOM_BLUEPRINTS_DEFAULT_SECURITY_GROUPS": "sg-0123456789abcdef0", "GREENROOM_CONTROL_URL": "https://meet.example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := deploy(t, c.given)
			s.look(t)
			for _, function := range handlers {
				told := s.environment(t, function)
				cfg, err := config.Load("", func(name string) string { return told[name] }, map[string]string{"data_dir": "/tmp/greenroom"})
				if err == nil {
					err = cfg.ValidateServerless()
				}
				if err != nil {
					t.Fatalf("%s could not run with what it is told: %v", function, err)
				}
				for key, want := range c.sees {
					if function != "http" && told[key] != want {
						t.Errorf("%s is told %s=%q, and not %q", function, key, told[key], want)
					}
				}
				table := dynamostore.New(dynamostore.Options{AWS: s.cfg, Table: cfg.Serverless.Table})
				// moto leaves the expiry out; TestTable looks at it.
				if err := table.Check(t.Context()); err != nil && !strings.Contains(err.Error(), cfg.Serverless.Table+" has no expiry by the attribute ttl:") {
					t.Error(err)
				}
				wakes := awsscheduler.New(awsscheduler.Options{AWS: s.cfg, Group: cfg.Serverless.ScheduleGroup, Target: cfg.Serverless.QueueARN, DeadLetters: cfg.Serverless.DeadLetters, Queue: cfg.Serverless.Queue})
				if err := wakes.CheckQueue(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// look has the doctor look at the stack, by its own outputs: each role may do all that its function does.
func (s *stack) look(t *testing.T) {
	t.Helper()
	told := map[string]string{"HOME": "/tmp"}
	for pair := range strings.SplitSeq(s.outputs["Environment"], " ") {
		key, value, _ := strings.Cut(pair, "=")
		told[key] = value
	}
	cfg, err := config.Load("", func(name string) string { return told[name] }, nil)
	if err != nil {
		t.Fatalf("the output Environment is no configuration: %v", err)
	}
	well := func(context.Context) error { return nil }
	behind := s.cfg.Copy()
	behind.BaseEndpoint = aws.String(iamtest.Start(t, s.cfg).URL)
	o := doctor.ServerlessOptions{
		AWS: behind, Table: well, Queue: well, Group: well, TableName: cfg.Serverless.Table, QueueARN: cfg.Serverless.QueueARN, DeadLetters: cfg.Serverless.DeadLetters,
		GroupName: cfg.Serverless.ScheduleGroup, ScheduleRole: cfg.Serverless.ScheduleRole, Zone: cfg.Zone, APITokens: "greenroom/api-tokens",
		InstanceProfile: cfg.Blueprints[0].EC2.InstanceProfile, Roles: roles(t, s),
		Within: 10 * time.Minute, // moto answers one question after the other
	}
	if cfg.DNS.Provider == "route53" {
		o.Route53 = cfg.DNS.ZoneID
	} else {
		o.Cloudflare = "greenroom/cloudflare"
	}
	found := doctor.CheckServerless(t.Context(), o)
	for _, f := range found {
		if !f.OK {
			t.Errorf("%+v", f)
		}
	}
	if len(found) != 12 {
		t.Errorf("%d findings: %+v", len(found), found)
	}
}
