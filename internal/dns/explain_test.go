package dns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"greenroom"
	"greenroom/internal/dns"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	if dns.Explain(nil) != nil {
		t.Error("no error became one")
	}
	own := &greenroom.UserError{Message: "The token is wrong.", Cause: greenroom.ErrForbidden}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for _, c := range []struct {
		err  error
		says string
	}{
		{&dns.RecordError{Name: "a.example", Err: own}, "The token is wrong."},
		{&dns.RecordError{Name: "a.example", Err: greenroom.ErrConflict}, "not greenroom's"},
		{&dns.ThrottledError{Until: time.Now()}, "takes no changes for a while"},
		{fmt.Errorf("400 no such address: %w", greenroom.ErrPermanent), "refuses the name"},
		{fmt.Errorf("list records: %w", refused), "does not answer"},
		{errors.Join(&dns.RecordError{Name: "a.example", Err: context.DeadlineExceeded}), "does not answer"},
		{io.ErrUnexpectedEOF, "could not change the name"},
	} {
		got := dns.Explain(c.err)
		if !errors.Is(got, c.err) || !strings.Contains(greenroom.Sentence(got, ""), c.says) {
			t.Errorf("%v: got %q, want %q", c.err, greenroom.Sentence(got, ""), c.says)
		}
	}
}
