// Package logkey names the keys of the log's lines, so that a search for one finds every line that has it.
package logkey

// The keys. Durations are written as Go writes them, such as 1.5s; times as RFC 3339.
const (
	Meeting  = "meeting"  // id of the meeting
	Seat     = "seat"     // id of the seat
	Attempt  = "attempt"  // 1 is the first desktop of a seat
	From     = "from"     // phase that the desktop left
	To       = "to"       // phase that the desktop entered
	Duration = "duration" // in the phase that was left, or of a call
	Reason   = "reason"   // the sentence of the timeline
	Wake     = "wake"     // when the meeting is looked at again, if nothing else happens
	Evidence = "evidence" // group: what the timeline has beside its sentence

	By     = "by"     // who asked: see package caller
	Client = "client" // address of who asked

	Method = "method"
	Path   = "path"  // without its query
	Route  = "route" // the pattern that answers the path
	Status = "status"

	Effect   = "effect"   // what greenroom does in the world: launch, publish, prove, unpublish, terminate
	What     = "what"     // the machine or the name that a line is about
	Instance = "instance" // id of a machine
	Name     = "name"     // in DNS, of a desktop or of the gateway
	Address  = "address"  // that a name leads to
	Trace    = "trace"    // id of the trace, if traces are on
	Lost     = "lost"     // lines that nobody took
	Err      = "err"

	Until       = "until"       // a certificate is valid until then
	Again       = "again_in"    // time until the next try
	Limit       = "limit"       // that was exceeded
	Setting     = "setting"     // key of the configuration
	Config      = "config"      // group: the settings that differ from their defaults
	Dir         = "dir"         // directory
	File        = "file"        // path of a file
	URL         = "url"         // of session data
	Function    = "function"    // of AWS Lambda
	Detail      = "detail"      // what was found
	Fix         = "fix"         // what to do about it
	Authority   = "authority"   // that signs certificates
	Version     = "version"     // of the program
	Program     = "program"     // that runs on a desktop
	Connection  = "connection"  // id of a participant's connection to a desktop
	Connections = "connections" // how many participants are connected to a desktop
	Shard       = "shard"       // of DynamoDB's stream
	Changes     = "changes"     // how many changes of DynamoDB's stream
	Panic       = "panic"       // what a request panicked with
	Stack       = "stack"       // where it did
)
