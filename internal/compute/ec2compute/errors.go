package ec2compute

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"greenroom"
)

// code is EC2's word for an error, empty if it is not EC2's.
func code(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return ""
}

// ruling is what an error code means. Codes that end in a dot stand for all that begin so.
type ruling struct {
	code  string
	kind  error
	avoid time.Duration // the place
	says  string        // to people
}

var rulings = []ruling{
	{"InsufficientInstanceCapacity", greenroom.ErrCapacity, avoidFor, "Amazon has no machine of this type in this zone at the moment; the next one is tried."},
	{"InsufficientCapacity", greenroom.ErrCapacity, avoidFor, "Amazon has no machine of this type in this zone at the moment; the next one is tried."},
	{"InsufficientHostCapacity", greenroom.ErrCapacity, avoidFor, "Amazon has no machine of this type in this zone at the moment; the next one is tried."},
	{"InsufficientReservedInstanceCapacity", greenroom.ErrCapacity, avoidFor, "The reserved capacity in this zone is used up; the next zone is tried."},
	{"ReservationCapacityExceeded", greenroom.ErrCapacity, avoidFor, "The reserved capacity in this zone is used up; the next zone is tried."},
	{"UnfulfillableCapacity", greenroom.ErrCapacity, avoidFor, "Amazon has no machine of this type in this zone at the moment; the next one is tried."},
	{"SpotMaxPriceTooLow", greenroom.ErrCapacity, avoidFor, "Spot machines of this type cost more than the highest price allows at the moment; the next type or zone is tried."},
	{"InsufficientFreeAddressesInSubnet", greenroom.ErrCapacity, avoidFor, "The subnet has no free address left; the next one is tried. Add a larger subnet to the blueprint."},
	{"Unsupported", greenroom.ErrCapacity, unofferedFor, "Amazon does not offer this instance type in this zone; the next one is tried."},

	{"VcpuLimitExceeded", greenroom.ErrBlocked, blockedFor, "The account's quota of virtual CPUs for this kind of machine is full: ask Amazon for more under Service Quotas, add an instance type of another family to the blueprint, or schedule fewer meetings at once."},
	{"InstanceLimitExceeded", greenroom.ErrBlocked, blockedFor, "The account may run no more machines of this type for now: ask Amazon for more under Service Quotas, add an instance type of another family to the blueprint, or schedule fewer meetings at once."},
	{"MaxSpotInstanceCountExceeded", greenroom.ErrBlocked, blockedFor, "The account's quota of spot machines is full: ask Amazon for more under Service Quotas, or set spot: false."},
	{"VolumeLimitExceeded", greenroom.ErrBlocked, 0, "The account's quota of disks is full: ask Amazon for more under Service Quotas, or schedule fewer meetings at once."},
	{"MaxIOPSLimitExceeded", greenroom.ErrBlocked, 0, "The account's quota of the disks' speed is full: ask Amazon for more under Service Quotas, or schedule fewer meetings at once."},
	{"InvalidAMIID.", greenroom.ErrPermanent, 0, "The blueprint's image does not exist in this region, or this account may not use it: correct image."},
	{"InvalidSubnetID.", greenroom.ErrPermanent, 0, "A subnet of the blueprint does not exist in this region: correct subnets."},
	{"InvalidSubnet", greenroom.ErrPermanent, 0, "A subnet of the blueprint does not exist in this region: correct subnets."},
	{"InvalidGroup.", greenroom.ErrPermanent, 0, "A security group of the blueprint does not exist in the network of its subnets: correct security_groups."},
	{"InvalidSecurityGroupID.", greenroom.ErrPermanent, 0, "A security group of the blueprint does not exist in the network of its subnets: correct security_groups."},
	{"InvalidKeyPair.", greenroom.ErrPermanent, 0, "The blueprint's key pair does not exist in this region: correct key_name."},
	{"InvalidLaunchTemplate", greenroom.ErrPermanent, 0, "The blueprint's launch template, or that version of it, does not exist in this region: correct launch_template."},
	{"InvalidUserData.", greenroom.ErrPermanent, 0, "EC2 refuses the desktop's user data: shorten the blueprint's list of applications."},
	{"UnauthorizedOperation", greenroom.ErrBlocked, 0, "These AWS credentials may not do this: docs/aws.md lists the permissions that greenroom needs, and greenroom doctor --aws tells which one is missing. Right after a deploy it can take minutes until they apply."},
	{"OptInRequired", greenroom.ErrBlocked, 0, "The account has not subscribed to this service or image: accept its terms in the AWS console."},
	{"PendingVerification", greenroom.ErrBlocked, 0, "Amazon is still verifying this account for the region, which can take some hours."},
	{"Blocked", greenroom.ErrBlocked, 0, "Amazon has blocked this account: ask its support."},
	{"UnsupportedOperation", greenroom.ErrPermanent, 0, "EC2 cannot make such a machine: image, instance type and options of the blueprint do not fit each other."},
	{"InvalidParameter", greenroom.ErrPermanent, 0, "EC2 refuses a value of the blueprint; greenroom doctor --aws tells which one."},
	{"InvalidBlockDeviceMapping", greenroom.ErrPermanent, 0, "EC2 refuses the disk: disk_gib must be at least the size of the image."},
	{"InvalidTagKey.", greenroom.ErrPermanent, 0, "EC2 refuses a tag: is instance tag metadata in use with other tags?"},
	{"MissingParameter", greenroom.ErrPermanent, 0, "EC2 misses a value in the blueprint; greenroom doctor --aws tells which one."},
	{"MissingInput", greenroom.ErrPermanent, 0, "EC2 misses a value in the blueprint; greenroom doctor --aws tells which one."},

	{"AuthFailure.ServiceLinkedRoleCreationNotPermitted", greenroom.ErrBlocked, 0, "The account lacks the role that EC2 needs for spot machines: create it once with aws iam create-service-linked-role --aws-service-name spot.amazonaws.com, or set spot: false."},
	{"AuthFailure", nil, 0, "Amazon does not accept the AWS credentials of this server: renew them."},
	{"ExpiredToken", nil, 0, "The AWS credentials of this server have expired: renew them."},
	{"RequestExpired", nil, 0, "Amazon does not accept the time of this server's requests: set its clock."},

	{"RequestLimitExceeded", greenroom.ErrThrottled, 0, ""},
	{"Throttling", greenroom.ErrThrottled, 0, ""},
	{"RequestThrottled", greenroom.ErrThrottled, 0, ""},
	{"EC2ThrottledException", greenroom.ErrThrottled, 0, ""},
}

// noProfile is the ruling on an instance profile that EC2 does not know, or not yet: IAM tells it with a delay. Its code is that of any wrong
// value, so that the message decides.
var noProfile = ruling{"InvalidParameterValue", greenroom.ErrBlocked, 0, "EC2 does not know the blueprint's instance profile: correct instance_profile. Right after a deploy it can take minutes until EC2 knows it."}

// ruleOn gives the ruling on an error of EC2's.
func ruleOn(err error) (ruling, bool) {
	if api, ok := errors.AsType[smithy.APIError](err); ok && strings.HasPrefix(api.ErrorCode(), "InvalidParameterValue") {
		if said := strings.ToLower(api.ErrorMessage()); strings.Contains(said, "iaminstanceprofile") || strings.Contains(said, "iam instance profile") {
			return noProfile, true
		}
	}
	return find(code(err))
}

// find gives the ruling on a code. A code without one is transient.
func find(code string) (ruling, bool) {
	if r, ok := match(rulings, code); ok || code == "" {
		return r, ok
	}
	for _, r := range rulings { // "InvalidParameterValue", "ThrottlingException", "InvalidLaunchTemplateId.NotFound"
		if strings.HasPrefix(code, r.code) && (r.code == "InvalidParameter" || r.code == "InvalidLaunchTemplate" || r.code == "Throttling") {
			return r, true
		}
	}
	return ruling{}, false
}

// match finds a code in a table.
func match(table []ruling, code string) (ruling, bool) {
	for _, r := range table {
		if code == r.code || strings.HasSuffix(r.code, ".") && strings.HasPrefix(code, r.code) {
			return r, true
		}
	}
	return ruling{}, false
}

// classify puts EC2's error into greenroom's kinds, with a sentence for people. What EC2 said stays in the detail.
func classify(err error) error {
	if err == nil {
		return nil
	}
	r, ok := ruleOn(err)
	if http, isHTTP := errors.AsType[*smithyhttp.ResponseError](err); !ok && isHTTP && http.HTTPStatusCode() == 429 {
		r, ok = ruling{kind: greenroom.ErrThrottled}, true
	}
	if !ok {
		return err
	}
	cause := err
	if r.kind != nil {
		cause = fmt.Errorf("%w: %w", r.kind, err)
	}
	if r.says == "" {
		return cause
	}
	return &greenroom.UserError{Message: r.says, Cause: cause}
}

func noImage(image string) error {
	r, _ := find("InvalidAMIID.NotFound")
	return &greenroom.UserError{Message: r.says, Cause: fmt.Errorf("%w: no image %s", r.kind, image)}
}
