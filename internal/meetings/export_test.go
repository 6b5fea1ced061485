package meetings

// FingerprintText is what a fingerprint is made of.
func FingerprintText(in Schedule) string { return string(fingerprintText(in)) }
