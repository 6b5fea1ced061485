package doctor_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/doctor"
	"greenroom/internal/testenv/moto"
)

// account is moto's server, which does not know EC2's quotas, with a quota of virtual CPUs.
func account(t *testing.T, quota string) aws.Config {
	t.Helper()
	target, err := url.Parse(moto.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetServiceQuota") {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			_, _ = io.WriteString(w, `{"Quota":{"QuotaCode":"L-1216C47A","Value":`+quota+`}}`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return aws.Config{Region: "eu-central-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), BaseEndpoint: aws.String(server.URL)}
}

// ec2Blueprint makes what it names; the group opens the ports from first to last.
func ec2Blueprint(t *testing.T, cfg aws.Config, first, last int32) greenroom.Blueprint {
	t.Helper()
	api := ec2.NewFromConfig(cfg)
	images, err := api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	if err != nil {
		t.Fatal(err)
	}
	subnets, err := api.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil {
		t.Fatal(err)
	}
	group, err := api.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String(greenroom.NewMeetingID()), Description: aws.String("d"), VpcId: subnets.Subnets[0].VpcId})
	if err != nil {
		t.Fatal(err)
	}
	_, err = api.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(first), ToPort: aws.Int32(last), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := greenroom.DefaultBlueprint()
	b.Provider = "ec2"
	b.EC2 = greenroom.EC2{InstanceTypes: []string{"t3.large"}, Subnets: []string{*subnets.Subnets[0].SubnetId}, SecurityGroups: []string{*group.GroupId}, DiskGiB: 40}
	for _, i := range images.Images {
		if i.Architecture == types.ArchitectureValuesX8664 {
			b.EC2.Image = *i.ImageId
		}
	}
	return b
}

func checkAWS(t *testing.T, cfg aws.Config, b greenroom.Blueprint, desktops int, asked error) map[string]doctor.Finding {
	t.Helper()
	out := map[string]doctor.Finding{}
	for _, f := range doctor.CheckAWS(t.Context(), doctor.AWSOptions{EC2: ec2compute.Options{Owner: "doctor", AWS: cfg}, Blueprints: []greenroom.Blueprint{b},
		Needs: func(context.Context) (map[string]int, error) { return map[string]int{b.Name: desktops}, asked }}) {
		out[f.Check] = f
		if !f.OK && f.Fix == "" {
			t.Errorf("%s says what is wrong (%s) and not what to do", f.Check, f.Detail)
		}
	}
	return out
}

func TestCheckAWS(t *testing.T) {
	t.Parallel()
	cfg := account(t, "64.0")
	good := ec2Blueprint(t, cfg, 8443, 8443)

	t.Run("AllIsWell", func(t *testing.T) {
		t.Parallel()
		found := checkAWS(t, cfg, good, 20, nil)
		for name, f := range found {
			if !f.OK {
				t.Errorf("%s: %+v", name, f)
			}
		}
		if len(found) != 9 {
			t.Errorf("%d findings: %v", len(found), found)
		}
	})

	for _, c := range []struct {
		name, check, says string
		desktops          int
		asked             error
		spoil             func(b *greenroom.Blueprint)
	}{
		{name: "NoImage", check: "aws default: image", says: "correct image", spoil: func(b *greenroom.Blueprint) { b.EC2.Image = "ami-0badbadbadbadbad0" }},
		{name: "OtherArchitecture", check: "aws default: instance types", says: "architecture", spoil: func(b *greenroom.Blueprint) { b.EC2.InstanceTypes = []string{"m7g.large"} }},
		{name: "NoSubnet", check: "aws default: subnets", says: "correct subnets", spoil: func(b *greenroom.Blueprint) { b.EC2.Subnets = []string{"subnet-0badbadbadbadbad0"} }},
		{name: "NoGroup", check: "aws default: security groups", says: "correct security_groups", spoil: func(b *greenroom.Blueprint) { b.EC2.SecurityGroups = []string{"sg-0badbadbadbadbad0"} }},
		{name: "QuotaTooSmall", check: "aws default: quota", says: "at least 66", desktops: 33},
		{name: "TooFewAddresses", check: "aws default: subnets", says: "larger subnet", desktops: 100000},
		{name: "NoServer", check: "aws calendar", says: "start the server", asked: errors.New("connection refused")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := good
			if c.spoil != nil {
				c.spoil(&b)
			}
			if f := checkAWS(t, cfg, b, c.desktops, c.asked)[c.check]; f.OK || !strings.Contains(f.Fix, c.says) {
				t.Errorf("%+v", f)
			}
		})
	}

	t.Run("ClosedPort", func(t *testing.T) {
		t.Parallel()
		if f := checkAWS(t, cfg, ec2Blueprint(t, cfg, 443, 443), 2, nil)["aws default: security groups"]; !f.Failed() || !strings.Contains(f.Detail, "8443 is closed") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("PortsTooWideOpen", func(t *testing.T) {
		t.Parallel()
		if f := checkAWS(t, cfg, ec2Blueprint(t, cfg, 22, 9000), 2, nil)["aws default: security groups"]; f.OK || f.Failed() || !strings.Contains(f.Detail, "22 to 9000") {
			t.Errorf("%+v", f)
		}
	})
	t.Run("NoCredentials", func(t *testing.T) {
		t.Parallel()
		bare := cfg.Copy()
		bare.Credentials = aws.AnonymousCredentials{}
		bare.BaseEndpoint = aws.String("http://127.0.0.1:1")
		found := checkAWS(t, bare, good, 2, nil)
		if f := found["aws credentials"]; len(found) != 1 || !f.Failed() {
			t.Errorf("%v", found)
		}
	})
}
