package serverless

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/scheduler"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	miekg "github.com/miekg/dns"

	"greenroom"
	"greenroom/internal/awsidentity/awsidentitytest"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpapi/wire"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/dynamolocal"
	"greenroom/internal/testenv/ec2test"
	"greenroom/internal/testenv/lambdatest"
	"greenroom/internal/testenv/moto"
)

const (
	region   = "eu-west-1"
	account  = "123456789012"
	patience = 2 * time.Minute // on a machine with much else to do
)

var clouds atomic.Int64

// cloud is one deployment: what deploy/aws makes, and what calls the functions.
type cloud struct {
	t         *testing.T
	name      string
	domain    string
	aws       aws.Config // of everything but the table
	table     aws.Config
	store     *dynamostore.Store
	ec2       *ec2test.Server
	queue     string
	deadQueue string
	scheduler *scheduler.Client
	sqs       *sqs.Client
	route53   *route53.Client
	zoneID    string
	signer    *awsidentitytest.Signer
	site      *httptest.Server // the function URL
	api       *client.Client
	calls     *counts
	made      atomic.Int64 // calls
	killEvery atomic.Int64 // which of them kills who is at work; 0 is none
	killed    atomic.Int64
	still     atomic.Bool // no schedule rings each minute
	functions map[string]*lambdatest.Function
	desktop   func(instance string) *desktop
	pumps     sync.WaitGroup
}

// counts are the calls of AWS's APIs, by service and action.
type counts struct {
	mu sync.Mutex
	by map[string]int
}

func (c *counts) add(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[what]++
}

func (c *counts) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.by
	c.by = map[string]int{}
	return out
}

// counted is a way to an API that counts its calls.
func (c *cloud) counted(target string) string {
	to, err := url.Parse(target)
	if err != nil {
		c.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls.add(action(r))
		n, every := c.made.Add(1), c.killEvery.Load()
		switch { // by turns before the call took hold, and after it
		case every > 0 && n%(2*every) == 0:
			c.kill()
		case every > 0 && n%(2*every) == every:
			defer c.kill()
		}
		proxy.ServeHTTP(w, r)
	}))
	c.t.Cleanup(s.Close)
	return s.URL
}

// kill ends a sandbox that is at work, of whatever function.
func (c *cloud) kill() {
	names := []string{"wake", "change", "http", "instance"}
	rand.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	for _, name := range names {
		if c.functions[name].Kill() {
			c.killed.Add(1)
			return
		}
	}
}

// action names a call: AmazonSQS.SendMessage, ec2.RunInstances, route53 POST /…/rrset.
func action(r *http.Request) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target
	}
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") != "" {
		return "ec2." + form.Get("Action")
	}
	path := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	return r.Method + " " + path[0] + " " + path[len(path)-1][:min(len(path[len(path)-1]), 8)]
}

// deploy makes everything, with changes to the functions' environment.
func deploy(t *testing.T, env ...string) *cloud {
	t.Helper()
	n := clouds.Add(1)
	c := &cloud{
		t: t, name: fmt.Sprintf("greenroom-life-%d", n), domain: fmt.Sprintf("desk%d.example.com", n), calls: &counts{by: map[string]int{}},
		signer: awsidentitytest.New(t), functions: map[string]*lambdatest.Function{},
	}
	c.ec2 = &ec2test.Server{Boot: 2 * time.Second, Lag: time.Second, Buckets: ec2test.Documented(), Public: func(number int) string {
		return fmt.Sprintf("127.0.%d.%d", 70+n, number)
	}}
	machines := httptest.NewServer(c.ec2)
	t.Cleanup(machines.Close)
	motoURL := moto.Start(t)
	c.aws = aws.Config{Region: region, BaseEndpoint: aws.String(motoURL), Credentials: credentials.NewStaticCredentialsProvider("TEST", "secret", "")}
	c.table = dynamolocal.Account(t)
	o := dynamostore.Options{AWS: c.table, Table: c.name}
	if err := dynamostore.CreateTable(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	c.store = dynamostore.New(o)
	c.scheduler, c.sqs, c.route53 = scheduler.NewFromConfig(c.aws), sqs.NewFromConfig(c.aws), route53.NewFromConfig(c.aws)
	c.deadQueue, c.queue = c.makeQueue(c.name+"-dead"), c.makeQueue(c.name)
	c.must(c.scheduler.CreateScheduleGroup(t.Context(), &scheduler.CreateScheduleGroupInput{Name: aws.String(c.name)}))
	token := "an organiser's token of more than 32 characters"
	token = strings.ReplaceAll(token, " ", "-")
	c.must(secretsmanager.NewFromConfig(c.aws).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String(c.name), SecretString: aws.String(token)}))
	zone, err := c.route53.CreateHostedZone(t.Context(), &route53.CreateHostedZoneInput{Name: aws.String(c.domain), CallerReference: aws.String(c.name)})
	if err != nil {
		t.Fatal(err)
	}
	c.zoneID = strings.TrimPrefix(*zone.HostedZone.Id, "/hostedzone/")
	identity := filepath.Join(t.TempDir(), "aws.pem")
	if err := os.WriteFile(identity, c.signer.PEM, 0o600); err != nil {
		t.Fatal(err)
	}
	c.site = httptest.NewServer(http.HandlerFunc(c.serveURL))
	t.Cleanup(c.site.Close)
	creds, err := c.table.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	env = append([]string{
		"AWS_REGION=us-west-1", "GREENROOM_AWS_REGION=" + region, "AWS_ACCESS_KEY_ID=" + creds.AccessKeyID, "AWS_SECRET_ACCESS_KEY=secret",
		"AWS_ENDPOINT_URL=" + c.counted(motoURL), "AWS_ENDPOINT_URL_DYNAMODB=" + c.counted(*c.table.BaseEndpoint), "GREENROOM_AWS_ENDPOINT=" + c.counted(machines.URL),
		"GREENROOM_SERVERLESS_TABLE=" + c.name, "GREENROOM_SERVERLESS_QUEUE=" + c.queue, "GREENROOM_SERVERLESS_QUEUE_ARN=" + arnOf(c.name),
		"GREENROOM_SERVERLESS_DEAD_LETTERS=" + arnOf(c.name+"-dead"), "GREENROOM_SERVERLESS_SCHEDULE_GROUP=" + c.name,
		"GREENROOM_SERVERLESS_SCHEDULE_ROLE=arn:aws:iam::" + account + ":role/greenroom-schedules", "GREENROOM_SERVERLESS_API_TOKENS=secret://aws/" + c.name,
		"GREENROOM_PUBLIC_URL=" + c.site.URL, "GREENROOM_ZONE=" + c.domain, "GREENROOM_DNS_PROVIDER=route53",
		"GREENROOM_DNS_SERVERS=" + c.nameServer(), "GREENROOM_IDENTITY_CERTIFICATES=" + identity,
		"GREENROOM_BLUEPRINTS_DEFAULT_PROVIDER=ec2", "GREENROOM_BLUEPRINTS_DEFAULT_PROTOCOL=dcv", "GREENROOM_BLUEPRINTS_DEFAULT_IMAGE=" + ec2test.Image,
		"GREENROOM_BLUEPRINTS_DEFAULT_INSTANCE_TYPES=t3.large", "GREENROOM_BLUEPRINTS_DEFAULT_SUBNETS=" + ec2test.SubnetA, "GREENROOM_BLUEPRINTS_DEFAULT_SECURITY_GROUPS=" + ec2test.Group,
	}, env...)
	for name, seconds := range map[string]int{"http": 60, "wake": 120, "instance": 60, "change": 60, "sweep": 60} {
		runs := program
		if name == "http" {
			runs = httpProgram
		}
		c.functions[name] = lambdatest.New(t, name, runs, time.Duration(seconds)*time.Second, env...)
	}
	if c.api, err = client.New(c.site.URL, token); err != nil {
		t.Fatal(err)
	}
	return c
}

func arnOf(queue string) string { return "arn:aws:sqs:" + region + ":" + account + ":" + queue }

func (c *cloud) must(_ any, err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cloud) makeQueue(name string) string {
	c.t.Helper()
	out, err := c.sqs.CreateQueue(c.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name), Attributes: map[string]string{"VisibilityTimeout": "5"}})
	if err != nil {
		c.t.Fatal(err)
	}
	return *out.QueueUrl
}

// serveURL is the function URL: every request is an event in payload format 2.0.
func (c *cloud) serveURL(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	headers := map[string]string{"host": r.Host}
	var cookies []string
	for name, values := range r.Header {
		if name == "Cookie" {
			cookies = strings.Split(values[0], "; ")
			continue
		}
		headers[strings.ToLower(name)] = strings.Join(values, ",")
	}
	event, _ := json.Marshal(map[string]any{
		"version": "2.0", "routeKey": "$default", "rawPath": r.URL.EscapedPath(), "rawQueryString": r.URL.RawQuery, "headers": headers, "cookies": cookies,
		"body": string(body), "isBase64Encoded": false,
		"requestContext": map[string]any{"domainName": r.Host, "http": map[string]any{"method": r.Method, "path": r.URL.Path, "sourceIp": source, "protocol": "HTTP/1.1"}},
	})
	answer, err := c.functions["http"].Invoke(r.Context(), event)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway) // as a function URL answers for a function that failed
		return
	}
	var out struct {
		StatusCode      int               `json:"statusCode"`
		Headers         map[string]string `json:"headers"`
		Cookies         []string          `json:"cookies"`
		Body            string            `json:"body"`
		IsBase64Encoded bool              `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		c.t.Errorf("the answer %.200s is none: %v", answer, err)
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for name, value := range out.Headers {
		w.Header().Set(name, value)
	}
	for _, cookie := range out.Cookies {
		w.Header().Add("Set-Cookie", cookie)
	}
	w.WriteHeader(out.StatusCode)
	_, _ = io.WriteString(w, out.Body)
}

// nameServer speaks for the zone with what Route 53 holds.
func (c *cloud) nameServer() string {
	c.t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		c.t.Fatal(err)
	}
	s := &miekg.Server{PacketConn: conn, Handler: miekg.HandlerFunc(func(w miekg.ResponseWriter, q *miekg.Msg) {
		m := new(miekg.Msg).SetReply(q)
		m.Authoritative = true
		if address := c.records()[strings.ToLower(q.Question[0].Name)]; address != "" && q.Question[0].Qtype == miekg.TypeA {
			m.Answer = append(m.Answer, &miekg.A{Hdr: miekg.RR_Header{Name: q.Question[0].Name, Rrtype: miekg.TypeA, Class: miekg.ClassINET, Ttl: 60}, A: net.ParseIP(address)})
		} else {
			m.Rcode = miekg.RcodeNameError
		}
		_ = w.WriteMsg(m)
	})}
	go func() { _ = s.ActivateAndServe() }()
	c.t.Cleanup(func() { _ = s.Shutdown() })
	return conn.LocalAddr().String()
}

// records are the addresses in the zone, by name.
func (c *cloud) records() map[string]string {
	out := map[string]string{}
	page, err := c.route53.ListResourceRecordSets(context.Background(), &route53.ListResourceRecordSetsInput{HostedZoneId: aws.String(c.zoneID)})
	if err != nil {
		return out
	}
	for _, r := range page.ResourceRecordSets {
		if r.Type == "A" {
			out[*r.Name] = *r.ResourceRecords[0].Value
		}
	}
	return out
}

// schedules are those that are set, by name.
func (c *cloud) schedules() map[string]bool {
	out := map[string]bool{}
	list, err := c.scheduler.ListSchedules(c.t.Context(), &scheduler.ListSchedulesInput{GroupName: aws.String(c.name)})
	if err != nil {
		c.t.Error(err)
		return out
	}
	for _, s := range list.Schedules {
		out[*s.Name] = true
	}
	return out
}

// received are the messages of a queue.
func (c *cloud) received(queue string) (out []string) {
	got, err := c.sqs.ReceiveMessage(c.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(queue), MaxNumberOfMessages: 10})
	if err != nil {
		c.t.Error(err)
		return nil
	}
	for _, m := range got.Messages {
		out = append(out, *m.Body)
	}
	return out
}

func ptr[T any](v T) *T { return &v }

// schedule schedules a meeting of two that starts in a while.
func (c *cloud) schedule(title string, start time.Duration) wire.Meeting {
	c.t.Helper()
	m, err := c.api.Schedule(c.t.Context(), wire.Schedule{Title: title, StartsAt: time.Now().Add(start).UTC().Format(time.RFC3339), Duration: "1h"}, "life-"+strings.ReplaceAll(title, " ", "-"))
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

// becomes waits until the meeting is as wanted.
func (c *cloud) becomes(id, what string, holds func(m wire.Meeting) bool) wire.Meeting {
	c.t.Helper()
	came := false
	defer func() {
		if !came {
			c.timeline(id)
		}
	}()
	var m wire.Meeting
	c.until(what, func(ctx context.Context) bool {
		var err error
		m, err = c.api.Meeting(ctx, id)
		return err == nil && holds(m)
	})
	came = true
	return m
}

func (c *cloud) until(what string, holds func(ctx context.Context) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for !holds(ctx) {
		select {
		case <-ctx.Done():
			c.t.Fatalf("waited %s in vain for %s", patience, what)
		case <-tick.C:
		}
	}
}

func all(m wire.Meeting, phase greenroom.Phase) bool {
	for _, s := range m.Seats {
		if s.Desktop.Phase != phase {
			return false
		}
	}
	return true
}

// invoke calls a function and logs what it could not do.
func (c *cloud) invoke(ctx context.Context, name string, event []byte) ([]byte, bool) {
	answer, err := c.functions[name].Invoke(ctx, event)
	if err != nil && !errors.Is(err, lambdatest.ErrDied) && ctx.Err() == nil {
		c.t.Logf("%s: %v", name, err)
	}
	return answer, err == nil
}
