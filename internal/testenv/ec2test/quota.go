package ec2test

import (
	"strconv"
	"strings"
)

// Family is the quota that machines of a type count for, as Service Quotas has them: types that begin with A, C, D, H, I, M, R, T or Z are
// "standard", and every other family has its own: "g" (G and VT), "f", "p", "x" and so on.
func Family(kind string) string {
	letters := strings.TrimRight(strings.SplitN(kind, ".", 2)[0], "abcdefghijklmnopqrstuvwxyz-") // t3a, m7i-flex
	letters = strings.TrimRight(letters, "0123456789")
	switch {
	case letters == "vt", letters == "g", letters == "gr":
		return "g"
	case len(letters) == 1 && strings.Contains("acdhimrtz", letters), letters == "im", letters == "is":
		return "standard"
	}
	return letters
}

// CPUs is how many virtual ones a type has.
func CPUs(kind string) int {
	_, size, _ := strings.Cut(kind, ".")
	switch size {
	case "medium":
		return 1
	case "xlarge":
		return 4
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(size, "xlarge")); err == nil {
		return 4 * n
	}
	return 2
}

// room refuses what is beyond the quota of the type's family. Machines count until they are terminated.
func (s *Server) room(kind string, n int) *apiError {
	quota, bounded := s.Quotas[Family(kind)]
	used := n * CPUs(kind)
	for _, i := range s.instances {
		if Family(i.kind) == Family(kind) && s.counts(i) {
			used += CPUs(i.kind)
		}
	}
	if !bounded || used <= quota {
		return nil
	}
	return refuse("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the specified instance type belongs to. "+
		"Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", quota)
}
