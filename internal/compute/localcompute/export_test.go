package localcompute

// Hosts reports whether this process is the host.
func (p *Provider) Hosts() bool { return p.own() != nil }

// Fail and Err take an error over the wire.
var Fail = fail

// Err is the error on the other side.
func (f *failure) Err() error { return f.err() }
