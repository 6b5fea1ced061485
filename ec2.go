package greenroom

import (
	"regexp"
	"slices"
)

// EC2 says how the provider ec2 makes machines.
type EC2 struct {
	Image           string   `json:"image,omitempty"`           // "ami-…"
	LaunchTemplate  string   `json:"launch_template,omitempty"` // id or name, and a version after a colon
	InstanceTypes   []string `json:"instance_types,omitempty"`  // the preferred first
	Subnets         []string `json:"subnets,omitempty"`         // one per zone, the preferred first
	SecurityGroups  []string `json:"security_groups,omitempty"`
	InstanceProfile string   `json:"instance_profile,omitempty"` // its name
	KeyName         string   `json:"key_name,omitempty"`
	DiskGiB         int      `json:"disk_gib,omitempty"` // 0 is the image's
	Spot            bool     `json:"spot,omitempty"`
	PublicAddress   string   `json:"public_address,omitempty"` // "true" or "false": which address desktops are reached at
	SeparateCalls   bool     `json:"separate_calls,omitempty"` // one call per desktop
}

func (e EC2) clone() EC2 {
	e.InstanceTypes, e.Subnets, e.SecurityGroups = slices.Clone(e.InstanceTypes), slices.Clone(e.Subnets), slices.Clone(e.SecurityGroups)
	return e
}

// Bounds of lists: more are a mistake.
const maxEC2List = 16

var ec2Forms = struct{ image, kind, subnet, group, name *regexp.Regexp }{
	image:  regexp.MustCompile(`^ami-[0-9a-f]{8,17}$`),
	kind:   regexp.MustCompile(`^[a-z0-9-]{2,20}\.[a-z0-9-]{2,20}$`),
	subnet: regexp.MustCompile(`^subnet-[0-9a-f]{8,17}$`),
	group:  regexp.MustCompile(`^sg-[0-9a-f]{8,17}$`),
	name:   regexp.MustCompile(`^[A-Za-z0-9().,/_+=@:-]{1,255}$`),
}

func (e EC2) validate(prefix string, bad *InvalidError) {
	one := func(field, value string, form *regexp.Regexp, like string) {
		if value != "" && !form.MatchString(value) {
			bad.Add(prefix+"."+field, "must be %s, and is %q", like, value)
		}
	}
	list := func(field string, values []string, form *regexp.Regexp, like string) {
		if len(values) > maxEC2List {
			bad.Add(prefix+"."+field, "must hold at most %d, and holds %d", maxEC2List, len(values))
		}
		for i, v := range values {
			if !form.MatchString(v) || slices.Index(values, v) != i {
				bad.Add(prefix+"."+field, "must hold each once, in the form of %s; %q is not, or is a duplicate", like, v)
				return
			}
		}
	}
	one("image", e.Image, ec2Forms.image, "an image's id such as ami-0123456789abcdef0")
	one("launch_template", e.LaunchTemplate, ec2Forms.name, "a launch template's id or name, with a version after a colon if it is not the default one")
	one("instance_profile", e.InstanceProfile, ec2Forms.name, "the name of an instance profile")
	one("key_name", e.KeyName, ec2Forms.name, "the name of a key pair")
	list("instance_types", e.InstanceTypes, ec2Forms.kind, "t3.large")
	list("subnets", e.Subnets, ec2Forms.subnet, "subnet-0123456789abcdef0")
	list("security_groups", e.SecurityGroups, ec2Forms.group, "sg-0123456789abcdef0")
	if e.LaunchTemplate == "" {
		if e.Image == "" {
			bad.Add(prefix+".image", "must be set for the provider ec2, unless launch_template is: it is the image that desktops start from")
		}
		if len(e.InstanceTypes) == 0 {
			bad.Add(prefix+".instance_types", "must name at least one for the provider ec2, unless launch_template is set, such as [t3.large]")
		}
	}
	if e.DiskGiB < 0 || e.DiskGiB > 16384 {
		bad.Add(prefix+".disk_gib", "must be from 1 to 16384, or 0 for the image's own size, and is %d", e.DiskGiB)
	}
	if e.DiskGiB > 0 && e.Image == "" {
		bad.Add(prefix+".disk_gib", "needs image: with a launch template alone, set the disk's size in the template")
	}
	if e.PublicAddress != "" && e.PublicAddress != "true" && e.PublicAddress != "false" {
		bad.Add(prefix+".public_address", "must be true or false, or empty for what access needs, and is %q", e.PublicAddress)
	}
}
