package config

// Access: how browsers reach desktops.
const (
	AccessDirect  = "direct"
	AccessGateway = "gateway"
	AccessSingle  = "single"
)

// Certificates.Issuer and TLS.Issuer: who signs.
const (
	IssuerLocal            = "local"
	IssuerFiles            = "files"
	IssuerACME             = "acme"
	IssuerCloudflareOrigin = "cloudflare-origin"
)

// DNS.Provider: who serves the zone.
const (
	DNSEmbedded   = "embedded"
	DNSRFC2136    = "rfc2136"
	DNSRoute53    = "route53"
	DNSCloudflare = "cloudflare"
)
