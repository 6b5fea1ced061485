package web

import (
	"testing"
	"time"
)

// Every quarter of an hour of a year, in zones with odd offsets and odd changes: what resolve returns shows the wall time
// that was asked for, and nothing that shows it is missed.
func TestInstantsAreAllAndOnlyThoseThatShowTheWallTime(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "Pacific/Apia", "UTC"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			loc, err := time.LoadLocation(name)
			if err != nil {
				t.Fatal(err)
			}
			shows := map[string][]time.Time{}
			begin := time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)
			for at := begin.AddDate(0, 0, -2); at.Before(begin.AddDate(1, 0, 2)); at = at.Add(15 * time.Minute) {
				wall := at.In(loc).Format(wallLayout)
				shows[wall] = append(shows[wall], at)
			}
			for wall := begin; wall.Before(begin.AddDate(1, 0, 0)); wall = wall.Add(15 * time.Minute) {
				want, got := shows[wall.Format(wallLayout)], instants(wall, loc)
				if len(got) != len(want) {
					t.Fatalf("%s: %v, want %v", wall.Format(wallLayout), got, want)
				}
				for i := range got {
					if !got[i].Equal(want[i]) {
						t.Fatalf("%s: %v, want %v", wall.Format(wallLayout), got, want)
					}
				}
			}
		})
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		longest, current time.Duration
		count            int
		holds            string
	}{
		{"UsualOnes", 11 * time.Hour, time.Hour, 10, "1h0m0s"},
		{"KeepsAnUnusualOne", 11 * time.Hour, 50 * time.Minute, 11, "50m0s"},
		{"KeepsOneBeyondTheUsual", 20 * time.Hour, 15 * time.Hour, 12, "15h0m0s"},
		{"EndsAtTheLongest", time.Hour, time.Hour, 4, "1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, found := durations(c.longest, c.current), false
			for _, o := range got {
				found = found || o.Value == c.holds
			}
			if len(got) != c.count || !found {
				t.Errorf("%v: want %d with %s", got, c.count, c.holds)
			}
		})
	}
}
