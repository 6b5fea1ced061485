package plan

import (
	"time"

	"greenroom"
)

// looksNarrow is how many looks in a row must see a desktop answer at its main address alone before the other one is taken out of
// its record.
const looksNarrow = 2

// believed is a proof for what it is worth. Where nothing outside can reach the desktop, only one whose own agent said that it is
// ready is believed in.
func believed(m *greenroom.Meeting, proof greenroom.Proof) greenroom.Proof {
	if proof.Untried && !m.Blueprint.Reports() {
		proof.OK, proof.Lost = false, true
	}
	return proof
}

// narrow counts looks that saw a desktop answer at its main address alone, and after enough of them takes the other one out of its
// record. Browsers come by the main one then, without trying one that does not answer first.
func narrow(s *greenroom.Seat, proof greenroom.Proof, now time.Time) *greenroom.Event {
	d := &s.Desktop
	if !proof.Narrow || d.Address6 == "" {
		d.Trust.Narrow = 0
		return nil
	}
	if d.Trust.Narrow++; d.Trust.Narrow < looksNarrow {
		return nil
	}
	detail := ""
	for _, step := range proof.Steps {
		if step.Name == "ipv6" {
			detail = ": " + step.Detail
		}
	}
	lost := d.Address6
	d.Address6, d.Trust.Narrow, d.Rename = "", 0, true
	d.Tries, d.RetryAt = 0, time.Time{}
	return trustEvent(s, greenroom.EventProblem, "The desktop does not answer at its IPv6 address "+lost+", which is taken out of its name; over IPv4 it answers"+detail+".", now)
}

// rename writes the record of a desktop anew from which an address was taken out.
func (p *planner) rename(s *greenroom.Seat) {
	if s.Desktop.Rename {
		p.effectAt(s.Desktop.RetryAt, Publish, s, "an address of the desktop does not answer", "another try at the record")
	}
}

// renamed takes the outcome of writing the record of a desktop that lost an address.
func renamed(s *greenroom.Seat, err error, now time.Time) *greenroom.Event {
	if err != nil {
		return retry(s, "The name could not be written without the address that does not answer.", err, now)
	}
	d := &s.Desktop
	d.Rename, d.Error, d.Tries, d.RetryAt = false, "", 0, time.Time{}
	return nil
}

// readyWords say what was proved.
func readyWords(proof greenroom.Proof) string {
	if proof.Untried {
		return "The desktop is ready: its name was proved from outside, and its agent says so from inside. This machine has no IPv6 route to it."
	}
	return "The desktop is ready: its name, certificate and page were proved from outside."
}
