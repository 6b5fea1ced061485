package web

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"greenroom"
)

// faults are the sentences to show beside fields, by the names that InvalidError uses.
type faults map[string]string

// add notes every fault of e, joined where a field has several.
func (f faults) add(e *greenroom.InvalidError) {
	for _, fault := range e.Fields {
		if old := f[fault.Field]; old != "" {
			f[fault.Field] = old + "; " + fault.Message
		} else {
			f[fault.Field] = fault.Message
		}
	}
}

// fault is what is shown beside one field.
type fault struct {
	ID   string // of the field in the page
	Text string // "" if it is right
}

func newFault(f faults, field, id string) fault { return fault{ID: id, Text: f[field]} }

// shown are the fields that have a place in the form.
var shown = regexp.MustCompile(`^(title|starts_at|time_zone|duration|blueprint|seats\[\d+\]\.(name|email))$`)

// elsewhere is what has no place beside a field.
func (f faults) elsewhere() string {
	var out []string
	for field, message := range f {
		if !shown.MatchString(field) {
			out = append(out, message)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// summary is what is shown above a form that was not taken: why, what somebody else has changed meanwhile, and a link to
// every field that has a fault. The page puts the focus on it.
type summary struct {
	Notice  string
	Changes []string
	Faults  []faultLink
}

// faultLink leads to a field.
type faultLink struct {
	ID    string
	Label string
	Text  string
}

// field is a field of a form, in the order of the page.
type field struct{ name, id, label string }

func summarise(notice string, f faults, fields []field) summary {
	s := summary{Notice: notice}
	for _, one := range fields {
		if text := f[one.name]; text != "" {
			s.Faults = append(s.Faults, faultLink{ID: one.id, Label: one.label, Text: text})
		}
	}
	return s
}

func whenFieldsOf(prefix string) []field {
	return []field{
		{"starts_at", prefix + "starts-at", "Date and time"}, {"time_zone", prefix + "time-zone", "Time zone"}, {"duration", prefix + "duration", "Duration"},
	}
}

// Summary is what is shown above the form if it was not taken.
func (f scheduleForm) Summary() summary {
	fields := append([]field{{"title", "title", "Title"}}, whenFieldsOf("")...)
	fields = append(fields, field{"blueprint", "blueprint", "Kind of desktop"})
	for _, b := range f.Blueprints {
		if b.Current {
			fields = append(fields, b.fields()...)
		}
	}
	return summarise(f.Notice, f.Errors, fields)
}

// fields are those of the people, in the order of the page.
func (c blueprintChoice) fields() []field {
	var out []field
	for _, role := range c.Roles {
		for _, row := range role.Rows {
			if row.At != "" {
				who := roleWord(role.Role) + row.Number
				out = append(out, field{row.At + ".name", row.ID + ".name", who + "’s name"}, field{row.At + ".email", row.ID + ".email", who + "’s e-mail"})
			}
		}
	}
	return out
}

// Summary is what is shown above the form if it was not taken.
func (f editForm) Summary() summary {
	s := summarise(f.Notice, f.Errors, append([]field{{"title", "edit-title", "Title"}}, whenFieldsOf("edit-")...))
	s.Changes = f.Changes
	return s
}

// rebase puts what was typed into the form of the meeting as it is now: fields that were left alone take their new
// value, and what somebody else changed is listed.
func (f *editForm) rebase(base, now editForm) {
	f.Version, f.Changes = now.Version, nil
	if base.Title == "" { // a form of an older page does not say how it was
		base = now
	}
	for _, v := range []struct {
		label                string
		typed, was, standing *string
	}{
		{"The title", &f.Title, &base.Title, &now.Title},
		{"The date and time", &f.StartsAt, &base.StartsAt, &now.StartsAt},
		{"The time zone", &f.TimeZone, &base.TimeZone, &now.TimeZone},
		{"The duration", &f.Duration, &base.Duration, &now.Duration},
	} {
		if *v.was == *v.standing {
			continue
		}
		change := fmt.Sprintf("%s was “%s” and is now “%s”", v.label, inWords(*v.was), inWords(*v.standing))
		if *v.typed == *v.was {
			*v.typed = *v.standing
		} else if *v.typed != *v.standing {
			change += fmt.Sprintf("; you want “%s”", inWords(*v.typed))
		}
		f.Changes = append(f.Changes, change+".")
	}
}
