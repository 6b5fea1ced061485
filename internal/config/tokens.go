package config

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"greenroom"
)

// maxTokens bounds the token file, in bytes.
const maxTokens = 64 << 10

// hashPrefix marks a line of the token file that holds a token's hash.
const hashPrefix = "sha256:"

var hashPattern = regexp.MustCompile(`^[0-9a-f]{64}$`)

// TokenLine is how the token file holds a token: as its hash, so that the file gives nothing away.
func TokenLine(token string) string { return hashPrefix + greenroom.HashSecret(token) }

// TokenHashes reads the hashes of the organisers' tokens, as greenroom.HashSecret makes them; nil when no
// file is configured. A line is a hash after "sha256:", or a token itself of 32 characters or more; empty
// lines and lines after # do not count. A file without any token is an error.
func (c Config) TokenHashes() ([]string, error) {
	if c.APITokenFile == "" {
		return nil, nil
	}
	f, err := os.Open(c.APITokenFile)
	if err != nil {
		return nil, unreadable("token file", c.APITokenFile, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokens))
	if err != nil {
		return nil, unreadable("token file", c.APITokenFile, err)
	}
	return ParseTokens("the token file "+c.APITokenFile+" (api_token_file)", string(text))
}

// ParseTokens reads the hashes of the tokens in a text; see TokenHashes. What is the text's name in errors.
func ParseTokens(what, text string) ([]string, error) {
	var hashes []string
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		hash, hashed := strings.CutPrefix(line, hashPrefix)
		switch {
		case hashed && hashPattern.MatchString(hash):
			hashes = append(hashes, hash)
		case !hashed && len(line) >= 32 && !strings.Contains(line, " "):
			hashes = append(hashes, greenroom.HashSecret(line))
		default:
			return nil, &greenroom.UserError{Message: fmt.Sprintf("Line %d of %s is neither a token of 32 characters or more nor %s and a hash; make one with: greenroom token --file FILE",
				i+1, what, hashPrefix)}
		}
	}
	if len(hashes) == 0 {
		return nil, &greenroom.UserError{Message: strings.ToUpper(what[:1]) + what[1:] + " holds no token; make one with: greenroom token --file FILE"}
	}
	return hashes, nil
}
