package dns

import "time"

// Facts are what a provider says of a zone, for people to look at. What is empty or zero is not known.
type Facts struct {
	Apex        string    // of the zone that the provider keeps: our zone, or one above it
	NameServers []string  // that it serves the zone with
	Plan        string    // what the zone is paid for
	Pending     string    // why the provider does not serve the zone yet
	Clock       time.Time // the provider's, when Seen was ours
	Seen        time.Time
	Records     int    // that the zone holds
	MostRecords int    // that it may hold
	Calls       string // how many may be made, in words
}
