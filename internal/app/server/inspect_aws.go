package server

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"greenroom/internal/app/components"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
	"greenroom/internal/scheduler/awsscheduler"
	"greenroom/internal/store/dynamostore"
)

// CheckAWS looks whether the AWS account has what the blueprints need, and, if a table is configured, a greenroom without
// servers; see doctor.CheckAWS and doctor.CheckServerless. roles are the ARNs of the functions' roles, by function.
func CheckAWS(ctx context.Context, cfg config.Config, roles map[string]string, needs func(context.Context) (map[string]int, error)) ([]doctor.Finding, error) {
	o, err := components.EC2(ctx, cfg, components.AWS(cfg), doctorsMark, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	out := doctor.CheckAWS(ctx, doctor.AWSOptions{EC2: o, Blueprints: cfg.Blueprints, Needs: needs})
	s := cfg.Serverless
	if s.Table == "" {
		return out, nil
	}
	table := dynamostore.New(dynamostore.Options{AWS: o.AWS, Table: s.Table, KeepHistory: time.Duration(s.KeepHistory)})
	wakes := awsscheduler.New(awsscheduler.Options{AWS: o.AWS, Group: s.ScheduleGroup, Target: s.QueueARN, Role: s.ScheduleRole, DeadLetters: s.DeadLetters, Queue: s.Queue})
	look := doctor.ServerlessOptions{
		AWS: o.AWS, Table: table.Check, Queue: wakes.CheckQueue, Group: wakes.CheckGroup,
		TableName: s.Table, QueueARN: s.QueueARN, DeadLetters: s.DeadLetters, GroupName: s.ScheduleGroup, ScheduleRole: s.ScheduleRole,
		Zone: cfg.Zone, APITokens: secretName(s.APITokens), Cloudflare: secretName(cfg.DNS.Token), InstanceProfile: cfg.Blueprints[0].EC2.InstanceProfile,
		Roles: roles,
	}
	if cfg.DNS.Provider == config.DNSRoute53 {
		look.Route53 = cfg.DNS.ZoneID
	}
	if look.Cloudflare == "" {
		look.Cloudflare = secretName(cfg.Certificates.Token)
	}
	return append(out, doctor.CheckServerless(ctx, look)...), nil
}

// secretName is the name of a secret that is kept with AWS Secrets Manager, "" for any other.
func secretName(s config.Secret) string {
	name, kept := strings.CutPrefix(s.Reveal(), "secret://aws/")
	name, _, _ = strings.Cut(name, "#")
	if !kept || strings.HasPrefix(name, "arn:") {
		return ""
	}
	return name
}
