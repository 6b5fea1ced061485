package config

import (
	"regexp"
	"time"

	"greenroom"
)

// Serverless says where a greenroom without servers keeps its state and its wakes: what deploy/aws makes. It is not set where
// a server runs.
type Serverless struct {
	Table         string // in DynamoDB
	Queue         string // URL of the queue that delays wakes
	QueueARN      string // of the same queue: what schedules wake
	DeadLetters   string // ARN of the queue for wakes that could not be delivered
	ScheduleGroup string // of EventBridge Scheduler
	ScheduleRole  string // ARN of the role that lets it wake
	APITokens     Secret // organisers' tokens, or where they are kept
	KeepHistory   greenroom.Duration
	CloudFront    bool // nobody reaches the functions but through CloudFront, which says who its viewer is
}

func (s *Serverless) keys() []key {
	return []key{
		{"serverless.table", "Table in DynamoDB. This and the keys below are for greenroom without servers ([serverless](serverless.md)); `deploy/aws` sets them, and `greenroom serve` ignores them.", &s.Table},
		{"serverless.queue", "Address of the queue in SQS that delays wakes.", &s.Queue},
		{"serverless.queue_arn", "ARN of the same queue.", &s.QueueARN},
		{"serverless.dead_letters", "ARN of the dead-letter queue.", &s.DeadLetters},
		{"serverless.schedule_group", "Group of EventBridge Scheduler that holds the schedules of meetings, and nothing else.", &s.ScheduleGroup},
		{"serverless.schedule_role", "ARN of the role that lets EventBridge Scheduler send to the queue.", &s.ScheduleRole},
		{"serverless.api_tokens", "Organisers' API tokens, one a line, as `greenroom token` prints them or writes them to a file. A secret.", &s.APITokens},
		{"serverless.keep_history", "How long meetings and their timelines are kept after their end; 0s keeps them for ever.", &s.KeepHistory},
		{"serverless.cloudfront", "Whether everybody comes through a CloudFront distribution whose origin request policy sends `CloudFront-Viewer-Address`: then that is the client's address. Set it only where the function's own address is closed to others.", &s.CloudFront},
	}
}

var (
	tableName    = regexp.MustCompile(`^[A-Za-z0-9_.-]{3,255}$`)
	scheduleName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)
	arn          = regexp.MustCompile(`^arn:[a-z-]+:(sqs|iam):[a-z0-9-]*:[0-9]{12}:.+$`)
)

// ValidateServerless reports every fault that keeps the configuration from running as functions, and Validate's, in one
// greenroom.InvalidError.
func (c Config) ValidateServerless() error {
	var bad greenroom.InvalidError
	c.validate(&bad)
	s := c.Serverless
	if !tableName.MatchString(s.Table) {
		bad.Add("serverless.table", "must be the name of the table, as deploy/aws gives it, and is %q", s.Table)
	}
	if !validLink(s.Queue) {
		bad.Add("serverless.queue", "must be the address of the queue, as deploy/aws gives it, and is %q", s.Queue)
	}
	for _, a := range []struct{ key, value string }{
		{"serverless.queue_arn", s.QueueARN}, {"serverless.dead_letters", s.DeadLetters}, {"serverless.schedule_role", s.ScheduleRole},
	} {
		if !arn.MatchString(a.value) {
			bad.Add(a.key, "must be an ARN, as deploy/aws gives it, and is %q", a.value)
		}
	}
	if !scheduleName.MatchString(s.ScheduleGroup) {
		bad.Add("serverless.schedule_group", "must be the name of a group of schedules, as deploy/aws gives it, and is %q", s.ScheduleGroup)
	}
	c.judgeFunctions(&bad)
	return bad.Err()
}

// judgeFunctions refuses what needs a process that stays, or a disk.
func (c Config) judgeFunctions(bad *greenroom.InvalidError) {
	if c.Serverless.APITokens == "" {
		bad.Add("serverless.api_tokens", "must hold organisers' tokens, since the pages can be reached from everywhere: make one with \"greenroom token\" and keep it with Secrets Manager, as secret://aws/NAME")
	}
	if d := c.Serverless.KeepHistory; d != 0 && d < greenroom.Duration(24*time.Hour) {
		bad.Add("serverless.keep_history", "must be 24h or more, or 0s, and is %s", short(d))
	}
	if c.DNS.Provider == DNSEmbedded {
		bad.Add("dns.provider", "must be route53, cloudflare or rfc2136: a function cannot be a name server")
	}
	if c.Access != AccessDirect {
		bad.Add("access", "must be direct: greenroom's own edge needs a server")
	}
	if c.Database != "" {
		bad.Add("database", "must be empty: meetings are kept in serverless.table")
	}
	if c.Certificates.AtEnd == "revoke" {
		bad.Add("certificates.at_end", "must be expire: revoking needs a disk")
	}
	for _, b := range c.Blueprints {
		if b.Provider != greenroom.ProviderEC2 {
			bad.Add("blueprints."+b.Name+".provider", "must be ec2: a function has no desktops of its own")
		}
	}
}
