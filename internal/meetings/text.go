package meetings

import (
	"net/mail"
	"strings"
	"time"
	"unicode/utf8"

	"greenroom"
	"greenroom/internal/plaintext"
	"greenroom/internal/timezone"
)

// Bounds of the text that an organiser may give; forms have the same.
const (
	MaxTitle  = 200 // characters
	MaxName   = 100 // characters
	MaxReason = 200 // characters
	MaxEmail  = 254 // bytes, RFC 5321
)

// line trims one line of text and notes what is wrong with it. noun is what it is: "a title". Empty text is right.
func line(field, noun, text string, limit int, bad *greenroom.InvalidError) string {
	text = strings.TrimSpace(text)
	if n := utf8.RuneCountInString(text); n > limit {
		bad.Add(field, "%s has at most %d characters; this one has %d", noun, limit, n)
	} else if fault := plaintext.Fault(text); fault != "" {
		bad.Add(field, "%s is one line of readable text; %s", noun, fault)
	}
	return text
}

func title(t string, bad *greenroom.InvalidError) string {
	t = line("title", "a title", t, MaxTitle, bad)
	if t == "" {
		bad.Add("title", "give the meeting a title of 1 to %d characters", MaxTitle)
	}
	return t
}

// email notes if an address, but for spaces around it, is not one: a display name, a comment, a bare host name as the domain, or an address
// in brackets is not one, because nothing could be delivered or it would be delivered elsewhere than it says.
func email(field, text string, bad *greenroom.InvalidError) {
	text = strings.TrimSpace(text)
	if fault := plaintext.Hidden(text); fault != "" {
		bad.Add(field, "an e-mail address looks like name@example.com; %s", fault)
		return
	}
	if text != "" && !plausibleEmail(text) {
		bad.Add(field, "an e-mail address looks like name@example.com; %q does not", clip(plaintext.Clean(text)))
	}
}

func plausibleEmail(text string) bool {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Address != text || a.Name != "" || len(text) > MaxEmail || plaintext.Fault(text) != "" {
		return false
	}
	domain := text[strings.LastIndexByte(text, '@')+1:]
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return strings.Contains(domain, ".") && !strings.HasPrefix(domain, "[")
}

// timeZone accepts IANA names, and keeps a legacy one under today's name.
func timeZone(name string, bad *greenroom.InvalidError) string {
	loc, err := timezone.Load(name)
	if err != nil {
		bad.Add("time_zone", "a time zone is an IANA name such as Europe/Berlin or UTC; %q is not", clip(plaintext.Clean(name)))
		return name
	}
	return loc.String()
}

func instant(field, text, also string, bad *greenroom.InvalidError) time.Time {
	t, err := timezone.ParseTime(text)
	if err != nil {
		bad.Add(field, "give a time as RFC 3339, such as 2026-12-01T15:00:00Z%s; %q is not one", also, clip(text))
		return time.Time{}
	}
	return t.UTC().Truncate(time.Second)
}
