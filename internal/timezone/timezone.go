// Package timezone knows the time zones of the IANA database: which names are valid, which of them are legacy, and what
// the clocks show there. The database is built in, for hosts that have none.
package timezone

import (
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // an image from scratch and a function have no database of their own
)

// zonesText has a line for each of today's zones: its name, and the legacy names that mean the same. The pages' list of
// zones is bundled from the same file.
//
//go:embed zones.txt
var zonesText string

// today maps legacy names to today's.
var today = sync.OnceValue(func() map[string]string {
	names := map[string]string{}
	for line := range strings.Lines(zonesText) {
		words := strings.Fields(line)
		for _, old := range words[1:] {
			names[old] = words[0]
		}
	}
	return names
})

// shape is that of an IANA name. It leaves out paths and dots, so that no file outside the database is ever opened.
var shape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]{0,30}(/[A-Za-z0-9_+-]{1,30}){0,2}$`)

// foreign are files of a host's database that are no zones of IANA's, and names with a meaning for Go alone. right/ counts
// leap seconds, posix/ is a second copy.
var foreign = regexp.MustCompile(`^(?i:right/.*|posix/.*|SystemV/.*|posixrules|localtime|local|factory)$`)

// Load returns the zone with that IANA name, under today's name where the given one is legacy: Asia/Calcutta is
// Asia/Kolkata. It fails for every other name.
func Load(name string) (*time.Location, error) {
	if !shape.MatchString(name) || foreign.MatchString(name) {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	loc, err := time.LoadLocation(Today(name))
	if err != nil {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	return loc, nil
}

// Today is today's name of a zone: name itself where it is not legacy.
func Today(name string) string {
	if current, ok := today()[name]; ok {
		return current
	}
	return name
}

// Show returns the zone in which to show a stored time: UTC where the name is not valid.
func Show(name string) *time.Location {
	loc, err := Load(name)
	if err != nil {
		return time.UTC
	}
	return loc
}

// ParseTime reads a time as RFC 3339 defines it, where T and Z may be lower case. It refuses leap seconds.
func ParseTime(text string) (time.Time, error) {
	text = strings.ToUpper(text)
	if !rfc3339.MatchString(text) {
		return time.Time{}, errors.New("not a time as RFC 3339")
	}
	return time.Parse(time.RFC3339, text)
}

// rfc3339 is what time.Parse does not see to: two digits of the hour, a point before fractions, an offset below a day.
var rfc3339 = regexp.MustCompile(`^[0-9-]{10}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)
