package components

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	smithy "github.com/aws/smithy-go/middleware"

	"greenroom"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/config"
	"greenroom/internal/secrets"
	"greenroom/internal/secrets/awssecrets"
	"greenroom/internal/version"
)

// Account reads the AWS configuration: credentials, region and endpoints of this process. All clients of AWS are made of what it
// returns.
type Account func(ctx context.Context) (aws.Config, error)

// AWS returns the account that cfg names. It is read once, when it is first asked for, so that a program without AWS needs none.
// aws.region takes precedence over AWS_REGION and the profile.
func AWS(cfg config.Config) Account {
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithAPIOptions([]func(*smithy.Stack) error{middleware.AddUserAgentKeyValue("greenroom", version.Get().Version)}),
	}
	if cfg.AWS.Region != "" {
		options = append(options, awsconfig.WithRegion(cfg.AWS.Region))
	}
	var mu sync.Mutex
	var loaded *aws.Config
	return func(ctx context.Context) (aws.Config, error) {
		mu.Lock()
		defer mu.Unlock()
		if loaded == nil {
			account, err := awsconfig.LoadDefaultConfig(ctx, options...)
			if err != nil {
				return aws.Config{}, &greenroom.UserError{Message: fmt.Sprintf("The AWS configuration cannot be read: %v.", err), Cause: err}
			}
			loaded = &account
		}
		return loaded.Copy(), nil
	}
}

// Secrets are the secrets that the configuration refers to.
func Secrets(account Account, logger *slog.Logger) *secrets.Store {
	return secrets.New(secrets.Options{AWS: awssecrets.New(account), Logger: logger})
}

// EC2 are the options of the provider ec2. It makes no call.
func EC2(ctx context.Context, cfg config.Config, account Account, owner string, logger *slog.Logger) (ec2compute.Options, error) {
	loaded, err := account(ctx)
	if err != nil {
		return ec2compute.Options{}, err
	}
	if loaded.Region == "" {
		return ec2compute.Options{}, &greenroom.UserError{Message: "A blueprint uses the provider ec2, and no region is set: set aws.region, or AWS_REGION in the environment."}
	}
	rate := func(r config.Rate) ec2compute.Rate { return ec2compute.Rate(r) }
	return ec2compute.Options{
		Owner: owner, AWS: loaded, Endpoint: cfg.AWS.Endpoint, Logger: logger,
		Rates: ec2compute.Rates{
			RunRequests: rate(cfg.AWS.RunInstances), RunInstances: rate(cfg.AWS.RunInstancesTotal), Describe: rate(cfg.AWS.Describe),
			TerminateRequests: rate(cfg.AWS.TerminateInstances), TerminateInstances: rate(cfg.AWS.TerminateTotal),
		},
	}, nil
}
