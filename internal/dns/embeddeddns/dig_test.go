package embeddeddns_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestDig asks with the client that operators use.
func TestDig(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("dig"); err != nil {
		t.Fatal("dig is missing: sudo apt-get install bind9-dnsutils")
	}
	z := open(t, &memory{})
	set(t, z, "i-1", "127.0.1.1")
	port := serve(t, z)
	for _, c := range []struct {
		promise string
		query   string
		want    []string // in the output
		not     string   // not in it
	}{
		{"A", "i-1.desk.localhost A", []string{"status: NOERROR", "flags: qr aa rd;", "i-1.desk.localhost.\t5\tIN\tA\t127.0.1.1"}, "SOA"},
		{"Case", "I-1.Desk.LocalHost A", []string{"I-1.Desk.LocalHost.\t5\tIN\tA\t127.0.1.1"}, "SOA"},
		{"SOA", "desk.localhost SOA", []string{"status: NOERROR", "\t1\tIN\tSOA\tns.desk.localhost. hostmaster.desk.localhost."}, "AUTHORITY SECTION"},
		{"NS", "desk.localhost NS", []string{"\tIN\tNS\tns.desk.localhost.", "ns.desk.localhost.\t5\tIN\tA\t127.0.0.1"}, "SOA"},
		{"NXDOMAIN", "i-2.desk.localhost A", []string{"status: NXDOMAIN", "flags: qr aa rd;", "desk.localhost.\t\t1\tIN\tSOA"}, "ANSWER SECTION"},
		{"NODATA", "i-1.desk.localhost AAAA", []string{"status: NOERROR", "ANSWER: 0, AUTHORITY: 1", "SOA"}, "ANSWER SECTION"},
		{"REFUSED", "example.com A", []string{"status: REFUSED"}, " aa"},
		{"EDNS", "+edns=0 +bufsize=4096 i-1.desk.localhost A", []string{"EDNS: version: 0, flags:; udp: 1232", "127.0.1.1"}, "SOA"},
		{"BADVERS", "+edns=7 +noednsnegotiation i-1.desk.localhost A", []string{"status: BADVERS"}, "127.0.1.1"},
		{"NoEDNS", "+noedns i-1.desk.localhost A", []string{"127.0.1.1"}, "OPT PSEUDOSECTION"},
		{"ANY", "i-1.desk.localhost ANY", []string{"status: NOERROR", `HINFO	"RFC8482" ""`}, "127.0.1.1"},
		{"CHAOS", "version.bind TXT CH", []string{"status: REFUSED"}, "TXT\t\""},
		{"NOTIMP", "+opcode=status i-1.desk.localhost A", []string{"status: NOTIMP"}, "127.0.1.1"},
		{"UPDATE", "+opcode=update i-1.desk.localhost A", []string{"status: NOTIMP"}, "127.0.1.1"},
	} {
		for _, transport := range []string{"+notcp", "+tcp"} {
			t.Run(c.promise+transport, func(t *testing.T) {
				t.Parallel()
				out := dig(t, port, transport+" "+c.query)
				for _, want := range c.want {
					if !strings.Contains(out, want) {
						t.Errorf("%q is not in\n%s", want, out)
					}
				}
				if strings.Contains(out, c.not) {
					t.Errorf("%q is in\n%s", c.not, out)
				}
			})
		}
	}
	t.Run("AXFR", func(t *testing.T) {
		t.Parallel()
		if out := dig(t, port, "desk.localhost AXFR"); !strings.Contains(out, "Transfer failed") || strings.Contains(out, "127.0.1.1") {
			t.Errorf("got\n%s", out)
		}
	})
}

func dig(t *testing.T, port, query string) string {
	t.Helper()
	args := append([]string{"@127.0.0.1", "-p", port, "+tries=2", "+time=5"}, strings.Fields(query)...)
	out, err := exec.CommandContext(t.Context(), "dig", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("dig: %v\n%s", err, out)
	}
	return string(out)
}
