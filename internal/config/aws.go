package config

import (
	"fmt"
	"regexp"

	"greenroom"
)

// AWS says how Amazon's services are reached, and how fast this account may call them.
type AWS struct {
	Region   string // of every client of AWS; empty: that of the AWS configuration
	Endpoint string // of EC2's API; empty means Amazon's own

	RunInstances       Rate // calls
	RunInstancesTotal  Rate // machines
	TerminateInstances Rate // calls
	TerminateTotal     Rate // machines
	Describe           Rate // calls
}

// Rate is a token bucket of an AWS API: so many at once, and so many more each second.
type Rate struct{ Burst, PerSecond int }

func (r Rate) String() string { return fmt.Sprintf("%d+%d/s", r.Burst, r.PerSecond) }

var rateForm = regexp.MustCompile(`^[1-9][0-9]{0,5}\+[1-9][0-9]{0,5}/s$`)

// UnmarshalText reads what String wrote.
func (r *Rate) UnmarshalText(text []byte) error {
	if !rateForm.Match(text) {
		return fmt.Errorf("must be how many at once and how many more a second, such as 5+2/s, and is %q", text)
	}
	_, err := fmt.Sscanf(string(text), "%d+%d/s", &r.Burst, &r.PerSecond)
	return err
}

// defaultAWS has the rates that Amazon documents for every account.
func defaultAWS() AWS {
	return AWS{RunInstances: Rate{5, 2}, RunInstancesTotal: Rate{1000, 2}, TerminateInstances: Rate{100, 5}, TerminateTotal: Rate{1000, 20}, Describe: Rate{100, 20}}
}

func (a *AWS) keys() []key {
	return []key{
		{"aws.region", "Region of everything at AWS: machines, secrets, table, queue. It takes precedence over `AWS_REGION` and the profile, which are used where it is empty. Credentials come from there, too. A secret named by its ARN is read in the ARN's region.", &a.Region},
		{"aws.endpoint", "Address of EC2's API; empty means Amazon's own.", &a.Endpoint},
		{"aws.run_instances", "Calls that start machines: burst and rate per second. The sum over all replicas must fit into the account's limits.", &a.RunInstances},
		{"aws.run_instances_total", "Machines that these calls start.", &a.RunInstancesTotal},
		{"aws.terminate_instances", "Calls that remove machines.", &a.TerminateInstances},
		{"aws.terminate_instances_total", "Machines that these calls remove.", &a.TerminateTotal},
		{"aws.describe", "Calls that look at machines.", &a.Describe},
	}
}

var region = regexp.MustCompile(`^[a-z]{2}(-[a-z]+){1,3}-[0-9]{1,2}$`)

func (a AWS) judge(bad *greenroom.InvalidError) {
	if a.Region != "" && !region.MatchString(a.Region) {
		bad.Add("aws.region", "must be a region's name such as eu-west-1, and is %q", a.Region)
	}
	if a.Endpoint != "" && !validURL(a.Endpoint) {
		bad.Add("aws.endpoint", "must be http:// or https:// and a host, without a path, and is %q", a.Endpoint)
	}
}

func ec2Keys(e *greenroom.EC2) []key {
	return []key{
		{"image", "For `ec2`: the image that desktops start from, `ami-…`.", &e.Image},
		{"launch_template", "For `ec2`: a launch template's id or name, `:` and a version if it is not the default one. The blueprint overrides it.", &e.LaunchTemplate},
		{"instance_types", "For `ec2`: instance types, the preferred first. The next is tried when there is no capacity in any subnet.", &e.InstanceTypes},
		{"subnets", "For `ec2`: subnets, one per zone, the preferred first. Empty means the default VPC.", &e.Subnets},
		{"security_groups", "For `ec2`: security groups. They must let participants reach port 8443.", &e.SecurityGroups},
		{"instance_profile", "For `ec2`: name of the instance profile whose role the desktop has; empty means none.", &e.InstanceProfile},
		{"key_name", "For `ec2`: key pair for operators; empty means none.", &e.KeyName},
		{"disk_gib", "For `ec2`: size of the disk in GiB; 0 is the image's.", &e.DiskGiB},
		{"spot", "For `ec2`: use spot machines. They are cheaper, and Amazon may end one at two minutes' notice: the seat gets a new one.", &e.Spot},
		{"public_address", "For `ec2`: `true` gives desktops public addresses, `false` private ones only; empty means what `access` needs.", &e.PublicAddress},
		{"separate_calls", "For `ec2`: start each desktop by a call of its own instead of one call for those that start together. Slower when many meetings start at once.", &e.SeparateCalls},
	}
}

// settleAddresses says what an empty public_address means.
func (c *Config) settleAddresses() {
	for i := range c.Blueprints {
		b := &c.Blueprints[i]
		if b.Provider != greenroom.ProviderEC2 || b.EC2.PublicAddress != "" {
			continue
		}
		b.EC2.PublicAddress = "true"
		if c.Access == AccessGateway {
			b.EC2.PublicAddress = "false"
		}
	}
}
