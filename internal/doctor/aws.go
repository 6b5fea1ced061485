package doctor

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"greenroom"
	"greenroom/internal/compute/ec2compute"
)

// AWSOptions say what to look at in an AWS account.
type AWSOptions struct {
	EC2        ec2compute.Options
	Blueprints []greenroom.Blueprint // those of the provider ec2 are looked at
	// Needs asks the server for the most desktops of a blueprint that are wanted at one time within the next day.
	Needs func(ctx context.Context) (map[string]int, error)
	// Identity reads AWS's certificates of identity documents; nil where no machine shows one.
	Identity func() ([]*x509.Certificate, error)
}

// awsTimeout bounds all looks at AWS together.
const awsTimeout = time.Minute

// CheckAWS looks whether the account has what the blueprints need. It changes nothing there.
func CheckAWS(ctx context.Context, o AWSOptions) []Finding {
	ctx, cancel := context.WithTimeout(ctx, awsTimeout)
	defer cancel()
	a := account{AWSOptions: o, api: ec2.NewFromConfig(o.EC2.AWS, func(options *ec2.Options) {
		if o.EC2.Endpoint != "" {
			options.BaseEndpoint = aws.String(o.EC2.Endpoint)
		}
	})}
	var out []Finding
	if o.Identity != nil {
		out = append(out, Certificates{Identity: o.Identity}.identity(time.Now()))
	}
	who := a.credentials(ctx)
	if out = append(out, who); who.Failed() {
		return out // nothing else could be asked
	}
	needs, err := o.Needs(ctx)
	if err != nil {
		out = append(out, Finding{Check: "aws calendar", Note: true, Detail: "the server could not be asked what is scheduled: " + err.Error(), Fix: "start the server, or give --server; quotas are compared with one meeting of each blueprint"})
	}
	found := false
	for _, b := range o.Blueprints {
		if b.Provider != greenroom.ProviderEC2 {
			continue
		}
		found = true
		out = append(out, a.blueprint(ctx, b, max(needs[b.Name], len(b.Seats)))...)
	}
	if !found {
		out = append(out, Finding{Check: "aws blueprints", Note: true, Detail: "no blueprint uses the provider ec2", Fix: "docs/aws.md shows one"})
	}
	return out
}

type account struct {
	AWSOptions
	api *ec2.Client
}

func (a account) credentials(ctx context.Context) Finding {
	f := Finding{Check: "aws credentials"}
	who, err := sts.NewFromConfig(a.EC2.AWS).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		f.Detail, f.Fix = short(err), "give this server AWS credentials: an instance role, AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
		return f
	}
	f.OK, f.Detail = true, fmt.Sprintf("%s, region %s", aws.ToString(who.Arn), a.EC2.AWS.Region)
	return f
}

// blueprint looks at everything that one needs; desktops is how many it needs at once.
func (a account) blueprint(ctx context.Context, b greenroom.Blueprint, desktops int) []Finding {
	name := "aws " + b.Name + ": "
	var out []Finding
	add := func(check string, f Finding) {
		f.Check = name + check
		out = append(out, f)
	}
	arch := ""
	if b.EC2.Image != "" {
		f, found := a.image(ctx, b.EC2.Image)
		arch = found
		add("image", f)
	}
	if len(b.EC2.InstanceTypes) > 0 {
		kinds, f := a.kinds(ctx, b.EC2.InstanceTypes, arch)
		add("instance types", f)
		for _, f := range a.quotas(ctx, kinds, b.EC2.Spot, desktops) {
			add("quota", f)
		}
	}
	if len(b.EC2.Subnets) > 0 {
		add("subnets", a.subnets(ctx, b.EC2.Subnets, desktops))
	}
	if len(b.EC2.SecurityGroups) > 0 {
		add("security groups", a.groups(ctx, b.EC2.SecurityGroups))
	}
	for _, r := range ec2compute.New(a.EC2).Rehearse(ctx, b) {
		f := Finding{OK: r.Err == nil, Detail: "would work"}
		switch {
		case r.Err != nil && r.Call == "TerminateInstances" && errors.Is(r.Err, greenroom.ErrPermanent):
			// A policy that allows it for greenroom's machines alone refuses a try that names none of them.
			f = Finding{Note: true, Detail: "cannot be tried without a machine of greenroom's: " + short(r.Err), Fix: "make sure that the policy allows it for instances with the tag greenroom:owner, as in docs/aws.md"}
		case r.Err != nil:
			f.Detail, f.Fix = short(r.Err), greenroom.Sentence(r.Err, "docs/aws.md lists the permissions that greenroom needs")
		}
		add(r.Call, f)
	}
	return out
}

func (a account) image(ctx context.Context, id string) (Finding, string) {
	const fix = "correct image; it is an id of this region, owned by or shared with this account"
	answer, err := a.api.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: []string{id}})
	if err != nil {
		return Finding{Detail: short(err), Fix: fix}, ""
	}
	if len(answer.Images) == 0 {
		return Finding{Detail: id + " does not exist", Fix: fix}, ""
	}
	image := answer.Images[0]
	if image.State != types.ImageStateAvailable {
		return Finding{Detail: fmt.Sprintf("%s is %s", id, image.State), Fix: "wait until it is available, or use another image"}, ""
	}
	return Finding{OK: true, Detail: fmt.Sprintf("%s (%s, %s)", id, aws.ToString(image.Name), image.Architecture)}, string(image.Architecture)
}

// kinds looks up instance types, and whether they run the image's architecture.
func (a account) kinds(ctx context.Context, names []string, arch string) ([]types.InstanceTypeInfo, Finding) {
	const fix = "correct instance_types: each must exist in this region and run the image's architecture"
	var in ec2.DescribeInstanceTypesInput
	for _, n := range names {
		in.InstanceTypes = append(in.InstanceTypes, types.InstanceType(n))
	}
	answer, err := a.api.DescribeInstanceTypes(ctx, &in)
	if err != nil {
		return nil, Finding{Detail: short(err), Fix: fix}
	}
	for _, k := range answer.InstanceTypes {
		if arch != "" && k.ProcessorInfo != nil && !slices.Contains(k.ProcessorInfo.SupportedArchitectures, types.ArchitectureType(arch)) {
			return nil, Finding{Detail: fmt.Sprintf("%s does not run %s, the image's architecture", k.InstanceType, arch), Fix: fix}
		}
	}
	return answer.InstanceTypes, Finding{OK: true, Detail: strings.Join(names, ", ")}
}

func (a account) subnets(ctx context.Context, ids []string, desktops int) Finding {
	answer, err := a.api.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil {
		return Finding{Detail: short(err), Fix: "correct subnets: each is an id of this region"}
	}
	var seen []string
	networks, free := map[string]bool{}, 0
	for _, s := range answer.Subnets {
		n := int(aws.ToInt32(s.AvailableIpAddressCount))
		free += n
		networks[aws.ToString(s.VpcId)] = true
		seen = append(seen, fmt.Sprintf("%s in %s with %d free addresses", aws.ToString(s.SubnetId), aws.ToString(s.AvailabilityZone), n))
	}
	f := Finding{OK: true, Detail: strings.Join(seen, ", ")}
	switch {
	case len(networks) > 1:
		f.OK, f.Fix = false, "use subnets of one network: the security groups belong to one"
	case free < desktops:
		f.OK, f.Fix = false, fmt.Sprintf("%d desktops are wanted at once: add a larger subnet", desktops)
	}
	return f
}

// groups looks whether participants reach the desktops' port, and nothing else.
func (a account) groups(ctx context.Context, ids []string) Finding {
	answer, err := a.api.DescribeSecurityGroups(ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: ids})
	if err != nil {
		return Finding{Detail: short(err), Fix: "correct security_groups: each is an id of this region"}
	}
	open, others := false, []string{}
	for _, g := range answer.SecurityGroups {
		for _, rule := range g.IpPermissions {
			from, to, everything := aws.ToInt32(rule.FromPort), aws.ToInt32(rule.ToPort), aws.ToString(rule.IpProtocol) == "-1"
			if everything || from <= greenroom.DesktopPort && greenroom.DesktopPort <= to {
				open = true
			}
			if anywhere(rule) && (everything || from != greenroom.DesktopPort || to != greenroom.DesktopPort) {
				others = append(others, fmt.Sprintf("%s opens %s to everybody", aws.ToString(g.GroupId), portsOf(rule)))
			}
		}
	}
	switch {
	case !open:
		return Finding{Detail: fmt.Sprintf("port %d is closed", greenroom.DesktopPort), Fix: fmt.Sprintf("let participants in: TCP %d, from everywhere or from their networks", greenroom.DesktopPort)}
	case len(others) > 0:
		return Finding{Note: true, Detail: strings.Join(others, ", "), Fix: fmt.Sprintf("close what is not needed: desktops answer on TCP %d only", greenroom.DesktopPort)}
	}
	return Finding{OK: true, Detail: fmt.Sprintf("TCP %d is open, and nothing else to everybody", greenroom.DesktopPort)}
}

func anywhere(rule types.IpPermission) bool {
	return slices.ContainsFunc(rule.IpRanges, func(r types.IpRange) bool { return aws.ToString(r.CidrIp) == "0.0.0.0/0" }) ||
		slices.ContainsFunc(rule.Ipv6Ranges, func(r types.Ipv6Range) bool { return aws.ToString(r.CidrIpv6) == "::/0" })
}

func portsOf(rule types.IpPermission) string {
	if aws.ToString(rule.IpProtocol) == "-1" {
		return "every port"
	}
	return fmt.Sprintf("%s %d to %d", aws.ToString(rule.IpProtocol), aws.ToInt32(rule.FromPort), aws.ToInt32(rule.ToPort))
}

// quota is one of virtual CPUs: which instance types count for it, by the first letters of their names, longest first.
type quota struct {
	families       []string
	onDemand, spot string
}

var quotas = []quota{
	{[]string{"inf", "trn", "dl", "hpc", "u-", "mac"}, "", ""}, // with quotas of their own, which are not looked at
	{[]string{"g", "vt"}, "L-DB2E81BA", "L-3819A6DF"},
	{[]string{"p"}, "L-417A185B", "L-7212CCBC"},
	{[]string{"x"}, "L-7295265B", "L-E3A00192"},
	{[]string{"f"}, "L-74FC7D96", "L-88CF9481"},
	{[]string{"a", "c", "d", "h", "i", "m", "r", "t", "z"}, "L-1216C47A", "L-34B43A08"},
}

func quotaCode(kind string, spot bool) string {
	for _, q := range quotas {
		if slices.ContainsFunc(q.families, func(f string) bool { return strings.HasPrefix(kind, f) }) {
			if spot {
				return q.spot
			}
			return q.onDemand
		}
	}
	return ""
}

// quotas compares the account's quota of virtual CPUs with what so many desktops of each type need.
func (a account) quotas(ctx context.Context, kinds []types.InstanceTypeInfo, spot bool, desktops int) []Finding {
	api := servicequotas.NewFromConfig(a.EC2.AWS)
	var out []Finding
	for _, k := range kinds {
		quotaID := quotaCode(string(k.InstanceType), spot)
		if quotaID == "" || k.VCpuInfo == nil {
			continue
		}
		need := desktops * int(aws.ToInt32(k.VCpuInfo.DefaultVCpus))
		answer, err := api.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("ec2"), QuotaCode: aws.String(quotaID)})
		if err != nil || answer.Quota == nil {
			out = append(out, Finding{Note: true, Detail: fmt.Sprintf("%s could not be read for %s: %s", quotaID, k.InstanceType, short(err)), Fix: "allow servicequotas:GetServiceQuota, or look under Service Quotas in the AWS console"})
			continue
		}
		have := int(aws.ToFloat64(answer.Quota.Value))
		f := Finding{OK: have >= need, Detail: fmt.Sprintf("%d virtual CPUs; %d desktops of type %s at once need %d", have, desktops, k.InstanceType, need)}
		if !f.OK {
			f.Fix = fmt.Sprintf("ask Amazon for at least %d under Service Quotas, EC2, quota %s", need, quotaID)
		}
		out = append(out, f)
	}
	return out
}

// short is an SDK's error without what it says about itself.
func short(err error) string {
	if err == nil {
		return "no answer"
	}
	text := err.Error()
	if i := strings.LastIndex(text, "api error "); i >= 0 {
		text = text[i+len("api error "):]
	}
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "…"
	}
	return text
}
