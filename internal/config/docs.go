package config

import (
	"fmt"
	"strings"
)

// Markdown is docs/config.md, made of the table that reads the configuration.
func Markdown() string {
	c := Default()
	var b strings.Builder
	b.WriteString(`# Configuration

One YAML file, given with ` + "`--config`" + `.
Every key is also an environment variable, and the common ones are flags of ` + "`greenroom serve`" + `.
A flag overrides the environment, which overrides the file, which overrides the default.
An unknown key is an error.
In the environment a list is written with commas.

| key | default | environment | meaning |
|---|---|---|---|
`)
	for _, k := range c.keys() {
		value := k.shown()
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", k.name, value, k.env(), k.about)
	}
	b.WriteString(`
There can be more blueprints beside ` + "`default`" + `: keys that one does not set have the values of the table.
A meeting keeps the blueprint it was scheduled with, so a change here never changes the rules of a meeting.

` + "```yaml" + `
blueprints:
  interview:
    seats: [interviewer, candidate]
    applications: [xterm, "xterm -e vi"]
    rules: {lead: 5m, no_show_after: 20m}
  class:
    seats:
      teacher: 1
      student: {count: 12, max: 40, screen: 1024x768}
` + "```" + `

A role has a ` + "`count`" + `, the number of its seats in a meeting whose organiser names none (1 by default; 0 means none), and a ` + "`max`" + `, the most that it can have (by default as many as ` + "`max_seats`" + ` allows).
` + "`screen`" + `, ` + "`applications`" + `, and with ` + "`ec2`" + ` ` + "`image`" + ` and ` + "`instance_types`" + ` apply to the desktops of that role, in place of the blueprint's.
A number alone is the count.
`)
	b.WriteString(`
A secret (database, and what the table calls one) is written as it is, or says where it is kept: ` + "`file:/path`" + `, or ` + "`secret://aws/name-or-arn`" + ` for AWS Secrets Manager, with ` + "`#key`" + ` for one value of a JSON object.
A rotated secret is read again; that of the database at the start only.
See [certificates and secrets](certificates.md).
`)
	return b.String()
}
