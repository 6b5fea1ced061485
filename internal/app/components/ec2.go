package components

import (
	"context"
	"fmt"

	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"greenroom"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/config"
)

// EC2 reads what the AWS configuration says; it asks nobody.
func EC2(ctx context.Context, cfg config.Config, owner string) (ec2compute.Options, error) {
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
