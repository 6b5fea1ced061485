package ec2compute_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"greenroom"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/testenv/moto"
)

// TestLifeOnMoto leads a meeting's machines from launch to removal on a server that knows the whole of EC2's API, which
// the strict stand-in does not.
func TestLifeOnMoto(t *testing.T) {
	t.Parallel()
	cfg := aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""), BaseEndpoint: aws.String(moto.Start(t))}
	api := ec2.NewFromConfig(cfg)
	images, err := api.DescribeImages(t.Context(), &ec2.DescribeImagesInput{Owners: []string{"amazon"}})
	if err != nil || len(images.Images) == 0 {
		t.Fatalf("%v, %v", images, err)
	}
	subnets, err := api.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{})
	if err != nil || len(subnets.Subnets) == 0 {
		t.Fatalf("%v, %v", subnets, err)
	}
	group, err := api.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{GroupName: aws.String(greenroom.NewMeetingID()), Description: aws.String("d"), VpcId: subnets.Subnets[0].VpcId})
	if err != nil {
		t.Fatal(err)
	}
	owner := greenroom.NewMeetingID()
	p := ec2compute.New(ec2compute.Options{Owner: owner, AWS: cfg})
	b := blueprint()
	b.EC2 = greenroom.EC2{Image: *images.Images[0].ImageId, InstanceTypes: []string{"t3.large"}, Subnets: []string{*subnets.Subnets[0].SubnetId}, SecurityGroups: []string{*group.GroupId}, DiskGiB: 40, PublicAddress: "true"}
	requests := seats(greenroom.NewMeetingID(), p.Places(b)[0], time.Now(), "teacher", "student")
	for i := range requests {
		requests[i].Blueprint = b
	}

	for _, r := range p.Rehearse(t.Context(), b) {
		if r.Err != nil {
			t.Errorf("%s would not work: %v", r.Call, r.Err)
		}
	}
	made := mustLaunch(t, p, requests...)
	list, err := p.List(t.Context(), requests[0].Handle.Meeting)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	for i, m := range list {
		if m.ID != made[i].ID || m.Handle != requests[i].Handle || m.State != compute.Running || m.Address == "" {
			t.Errorf("listed as %+v, launched as %+v", m, made[i])
		}
	}
	checkMachine(t, api, made[0].ID, requests[0], owner)
	if a := p.Account(); a != "123456789012" {
		t.Errorf("the machines belong to the account %q", a)
	}

	if err := p.Terminate(t.Context(), made[0].ID, made[1].ID, "i-00000000000000000"); err != nil {
		t.Fatal(err)
	}
	if left, err := p.List(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	volumes, err := api.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("tag:greenroom:owner"), Values: []string{owner}}}})
	if err != nil || len(volumes.Volumes) != 0 {
		t.Errorf("disks are left: %v, %v", volumes, err)
	}

	b.EC2.Image = "ami-0badbadbadbadbad0"
	requests = seats(greenroom.NewMeetingID(), p.Places(b)[0], time.Now(), "teacher")
	requests[0].Blueprint = b
	if err := p.Launch(t.Context(), requests)[0].Err; !errors.Is(err, greenroom.ErrPermanent) || !strings.Contains(greenroom.Sentence(err, ""), "image does not exist") {
		t.Errorf("an image that does not exist: %v", err)
	}
}

// checkMachine looks at what EC2 was told.
func checkMachine(t *testing.T, api *ec2.Client, id string, r compute.Request, owner string) {
	t.Helper()
	data, err := api.DescribeInstanceAttribute(t.Context(), &ec2.DescribeInstanceAttributeInput{InstanceId: aws.String(id), Attribute: types.InstanceAttributeNameUserData})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := base64.StdEncoding.DecodeString(aws.ToString(data.UserData.Value)); err != nil || string(text) != string(r.UserData) {
		t.Errorf("user data is %s, %v", text, err)
	}
	answer, err := api.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		t.Fatal(err)
	}
	m := answer.Reservations[0].Instances[0]
	if m.MetadataOptions == nil || m.MetadataOptions.HttpTokens != types.HttpTokensStateRequired || len(m.BlockDeviceMappings) != 1 {
		t.Errorf("metadata %+v, disks %+v", m.MetadataOptions, m.BlockDeviceMappings)
	}
	volumes, err := api.DescribeVolumes(t.Context(), &ec2.DescribeVolumesInput{Filters: []types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{id}}}})
	if err != nil || len(volumes.Volumes) != 1 {
		t.Fatalf("%v, %v", volumes, err)
	}
	tags := map[string]string{}
	for _, tag := range volumes.Volumes[0].Tags {
		tags[*tag.Key] = *tag.Value
	}
	if v := volumes.Volumes[0]; v.VolumeType != types.VolumeTypeGp3 || aws.ToInt32(v.Size) != 40 || tags["greenroom:owner"] != owner {
		t.Errorf("the disk is %+v", v)
	}
}
