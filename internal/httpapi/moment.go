package httpapi

import (
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"greenroom"
	"greenroom/internal/timezone"
)

// moment is a time in a query, as RFC 3339. huma would refuse the lower-case letters that the format allows.
type moment string

// Schema documents it. As an extension the format is published without huma enforcing it first.
func (moment) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Extensions: map[string]any{"format": "date-time"}}
}

// time is the zero time if there is none. In a query a plus sign that was not escaped arrives as a space.
func (m moment) time(field string, bad *greenroom.InvalidError) time.Time {
	if m == "" {
		return time.Time{}
	}
	t, err := timezone.ParseTime(strings.ReplaceAll(string(m), " ", "+"))
	if err != nil {
		bad.Add(field, "must be a time as RFC 3339, such as 2026-12-01T15:00:00Z")
	}
	return t
}
