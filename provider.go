package greenroom

// Provider names who makes a desktop's machine, as blueprints and stored meetings write it.
type Provider string

// The providers.
const (
	ProviderLocal Provider = "local" // processes on the machine of the server
	ProviderEC2   Provider = "ec2"   // instances on Amazon EC2
)

// Providers lists every provider.
func Providers() []Provider { return []Provider{ProviderLocal, ProviderEC2} }

// Protocol names how a desktop's screen reaches the browser, as blueprints and user data write it.
type Protocol string

// The protocols.
const (
	NoVNC Protocol = "novnc" // VNC in a page of greenroom's own agent
	DCV   Protocol = "dcv"   // Amazon DCV
)

// Protocols lists every protocol.
func Protocols() []Protocol { return []Protocol{NoVNC, DCV} }

// DesktopPort is the TCP port that a desktop itself answers on, whatever its protocol.
const DesktopPort = 8443
