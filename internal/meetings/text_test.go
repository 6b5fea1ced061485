package meetings_test

import (
	"errors"
	"strings"
	"testing"

	"greenroom"
	"greenroom/internal/meetings"
)

// oneFault checks that err is one fault of one field, and says what it should.
func oneFault(t *testing.T, err error, field, says string) {
	t.Helper()
	bad, ok := errors.AsType[*greenroom.InvalidError](err)
	if !ok || len(bad.Fields) != 1 || bad.Fields[0].Field != field || !strings.Contains(bad.Fields[0].Message, says) {
		t.Errorf("got %v, want one fault at %s that says %q", err, field, says)
	}
}

func TestTextThatNobodyCanReadIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	m, _, err := b.Schedule(t.Context(), okInput(), "")
	if err != nil {
		t.Fatal(err)
	}
	for text, says := range map[string]string{
		"\u200b\u200b": "no visible character", "abc\u202etxt": "U+202E RIGHT-TO-LEFT OVERRIDE, at position 4", "\u2066a": "U+2066 LEFT-TO-RIGHT ISOLATE, at position 1",
		"a\u2069": "U+2069", "a\u0085b": "U+0085", "a\u2029b": "U+2029", "\u3164": "no visible character",
	} {
		in := okInput()
		in.Title = text
		_, _, err := b.Schedule(t.Context(), in, "")
		oneFault(t, err, "title", says)
		in = okInput()
		in.Seats[0].Name = text
		_, _, err = b.Schedule(t.Context(), in, "")
		oneFault(t, err, "seats[0].name", says)
		_, err = b.Edit(t.Context(), m.ID, meetings.Edit{Title: &text}, 0)
		oneFault(t, err, "title", says)
		_, err = b.Park(t.Context(), m.ID, "1h", text, "")
		oneFault(t, err, "reason", says)
	}
	for _, text := range []string{"שיעור אלגברה", "درس الجبر", "می\u200cخواهم", "👩‍🏫", "代数"} {
		in := okInput()
		in.Title, in.Seats[0].Name = text, text
		if m, _, err := b.Schedule(t.Context(), in, ""); err != nil || m.Title != text || m.Seats[0].Name != text {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestBoundsOfText(t *testing.T) {
	t.Parallel()
	b, in := setup(t), okInput()
	in.Title, in.Seats[0].Name = strings.Repeat("ß", meetings.MaxTitle), strings.Repeat("ß", meetings.MaxName)
	if _, _, err := b.Schedule(t.Context(), in, ""); err != nil {
		t.Error(err)
	}
	in.Title += "x"
	_, _, err := b.Schedule(t.Context(), in, "")
	oneFault(t, err, "title", "at most 200 characters; this one has 201")
	in = okInput()
	in.Seats[0].Name = strings.Repeat("ß", meetings.MaxName+1)
	_, _, err = b.Schedule(t.Context(), in, "")
	oneFault(t, err, "seats[0].name", "at most 100 characters; this one has 101")
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for address, good := range map[string]bool{
		"": true, " sam@example.com ": true, "s.o+class@mail.example.co.uk": true, "o'neil@example.com": true, "jürgen@beispiel.de": true,
		"foo@bar": false, "foo": false, "@example.com": false, "a@": false, "a@b@example.com": false, "a b@example.com": false, `"a b"@example.com`: false,
		"Sam <sam@example.com>": false, "<sam@example.com>": false, "sam@example.com (Sam)": false, "sam@[192.0.2.1]": false, "a@example.com, b@example.com": false,
		"a@.example.com": false, "a@example..com": false, "a@example.com.": false, "a..b@example.com": false, "a\u202e@example.com": false, "a@example.com\r\nBcc: b@example.com": false,
		strings.Repeat("a", 250) + "@example.com": false,
	} {
		in := okInput()
		in.Seats[1].Email = address
		m, _, err := b.Schedule(t.Context(), in, "")
		if good != (err == nil) {
			t.Errorf("%q: %v", address, err)
		}
		if err == nil && m.Seats[1].Email != strings.TrimSpace(address) {
			t.Errorf("%q was kept as %q", address, m.Seats[1].Email)
		}
	}
}

func TestTimeZones(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for given, kept := range map[string]string{"": "UTC", "Europe/Berlin": "Europe/Berlin", "US/Pacific": "America/Los_Angeles", "Asia/Calcutta": "Asia/Kolkata", "Europe/Kiev": "Europe/Kyiv"} {
		in := okInput()
		in.TimeZone = given
		if m, _, err := b.Schedule(t.Context(), in, ""); err != nil || m.TimeZone != kept {
			t.Errorf("%q was kept as %q, %v", given, m.TimeZone, err)
		}
	}
	m, _, err := b.Schedule(t.Context(), okInput(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, zone := range []string{"", "Local", "right/UTC", "posix/Europe/Berlin", "/etc/localtime", "../../etc/passwd", "posixrules", "a\u202eb"} {
		_, err := b.Edit(t.Context(), m.ID, meetings.Edit{TimeZone: &zone}, 0)
		oneFault(t, err, "time_zone", "IANA name")
	}
}

func TestLowerCaseTimes(t *testing.T) {
	t.Parallel()
	b, in := setup(t), okInput()
	in.StartsAt = strings.ToLower(in.StartsAt)
	m, _, err := b.Schedule(t.Context(), in, "")
	if err != nil {
		t.Fatal(err)
	}
	end := strings.ToLower(m.EndsAt.Add(600e9).Format("2006-01-02T15:04:05Z"))
	if _, err := b.Edit(t.Context(), m.ID, meetings.Edit{EndsAt: &end}, 0); err != nil {
		t.Error(err)
	}
}
