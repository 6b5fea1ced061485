package app

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
)

// openEC2 returns nil unless a blueprint needs it or its region is configured: meetings that were scheduled with a blueprint
// that is no more need it still.
func (a *app) openEC2(ctx context.Context, owner string) (*ec2compute.Provider, error) {
	cfg := a.Config
	used := slices.ContainsFunc(cfg.Blueprints, func(b greenroom.Blueprint) bool { return b.Provider == "ec2" })
	if !used && cfg.AWS.Region == "" {
		return nil, nil
	}
	o, err := ec2Options(ctx, cfg, owner)
	if err != nil {
		return nil, err
	}
	o.Logger = a.Logger
	return ec2compute.New(o), nil
}

// ec2Options reads what the AWS configuration says; it asks nobody.
func ec2Options(ctx context.Context, cfg config.Config, owner string) (ec2compute.Options, error) {
	var options []func(*awsconfig.LoadOptions) error
	if cfg.AWS.Region != "" {
		options = append(options, awsconfig.WithRegion(cfg.AWS.Region))
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return ec2compute.Options{}, &greenroom.UserError{Message: fmt.Sprintf("The AWS configuration cannot be read: %v.", err), Cause: err}
	}
	if loaded.Region == "" {
		return ec2compute.Options{}, &greenroom.UserError{Message: "A blueprint uses the provider ec2, and no region is set: set aws.region, or AWS_REGION in the environment."}
	}
	rate := func(r config.Rate) ec2compute.Rate { return ec2compute.Rate(r) }
	return ec2compute.Options{
		Owner: owner, AWS: loaded, Endpoint: cfg.AWS.Endpoint,
		Rates: ec2compute.Rates{
			RunRequests: rate(cfg.AWS.RunInstances), RunInstances: rate(cfg.AWS.RunInstancesTotal), Describe: rate(cfg.AWS.Describe),
			TerminateRequests: rate(cfg.AWS.TerminateInstances), TerminateInstances: rate(cfg.AWS.TerminateTotal),
		},
	}, nil
}

// providers are those that meetings' blueprints name.
func (a *app) providers() map[string]compute.Provider {
	all := map[string]compute.Provider{"local": a.provider}
	if a.ec2 != nil {
		all["ec2"] = a.ec2
	}
	return all
}

// CheckAWS looks whether the AWS account has what the blueprints need; see doctor.CheckAWS.
func CheckAWS(ctx context.Context, cfg config.Config, needs func(context.Context) (map[string]int, error)) ([]doctor.Finding, error) {
	o, err := ec2Options(ctx, cfg, "doctor")
	if err != nil {
		return nil, err
	}
	o.Logger = slog.New(slog.DiscardHandler)
	return doctor.CheckAWS(ctx, doctor.AWSOptions{EC2: o, Blueprints: cfg.Blueprints, Needs: needs, Identity: Certificates(cfg).Identity}), nil
}
