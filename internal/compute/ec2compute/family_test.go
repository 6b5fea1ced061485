package ec2compute_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/testenv/ec2test"
)

func TestAddressesOfEachFamily(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subnet, public string
		main4, six     bool
	}{
		"PublicAlone":           {"", "true", true, false},
		"PublicAndIPv6":         {"beside", "true", true, true},
		"PrivateAndIPv6":        {"beside", "false", true, true},
		"IPv6Only":              {"only", "false", false, true},
		"IPv6OnlyAskedInPublic": {"only", "true", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &ec2test.Server{IPv6: map[string]string{ec2test.SubnetA: c.subnet}}
				p := open(s, ec2compute.Rates{})
				requests := pair(placeA)
				for i := range requests {
					requests[i].Blueprint.EC2.PublicAddress = c.public
				}
				mustLaunch(t, p, requests...)
				time.Sleep(time.Minute)
				list, err := p.List(t.Context(), requests[0].Handle.Meeting)
				if err != nil || len(list) != 2 {
					t.Fatal(list, err)
				}
				for _, m := range list {
					main, _ := netip.ParseAddr(m.Address)
					six, _ := netip.ParseAddr(m.Address6)
					if m.State != compute.Running || main.Is4() != c.main4 || main.Is6() == c.main4 || six.Is6() != (c.six && c.main4) {
						t.Errorf("%+v", m)
					}
				}
			})
		})
	}
}
