package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"greenroom"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Load builds the configuration: default, then the file at path ("" means none), then the environment, then flags by
// key name. Every fault, of form or of meaning, is in one greenroom.InvalidError that names the keys.
func Load(path string, getenv func(string) string, flags map[string]string) (Config, error) {
	c := Default()
	var bad greenroom.InvalidError
	if path != "" {
		entries, err := readFile(path)
		if err != nil {
			return c, err
		}
		c.applyFile(entries, &bad)
	}
	for _, k := range c.keys() {
		if v := getenv(k.env()); v != "" {
			if err := k.put(v); err != nil {
				bad.Add(k.name, "%v (from %s)", err, k.env())
			}
		}
		if v, given := flags[k.name]; given {
			if err := k.put(v); err != nil {
				bad.Add(k.name, "%v", err)
			}
		}
	}
	home := getenv("HOME")
	for _, p := range []struct {
		key  string
		path *string
	}{{"data_dir", &c.DataDir}, {"api_token_file", &c.APITokenFile},
		{"tls.chain_file", &c.TLS.ChainFile}, {"tls.key_file", &c.TLS.KeyFile}, {"tls.roots_file", &c.TLS.RootsFile},
		{"certificates.chain_file", &c.Certificates.ChainFile}, {"certificates.key_file", &c.Certificates.KeyFile}, {"certificates.roots_file", &c.Certificates.RootsFile}} {
		if *p.path == "" {
			continue
		}
		full, err := expand(*p.path, home)
		if err != nil {
			bad.Add(p.key, "%v", err)
			continue
		}
		*p.path = full
	}
	c.settleAddresses()
	c.validate(&bad)
	return c, bad.Err()
}

// entry is one value of the file.
type entry struct {
	name  string // path of the key
	line  int
	value string
	list  []string
	kind  yaml.Kind
	node  *yaml.Node
}

func readFile(path string) ([]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable("configuration file", path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, unreadable("configuration file", path, err)
	}
	if len(text) > maxFile {
		return nil, &greenroom.UserError{Message: "The configuration file " + path + " is larger than 1 MiB."}
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The configuration file %s is not valid YAML: %s.", path, strings.TrimPrefix(err.Error(), "yaml: ")), Cause: err}
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		if root.Kind == yaml.ScalarNode && root.ShortTag() == "!!null" {
			return nil, nil
		}
		return nil, &greenroom.UserError{Message: fmt.Sprintf("The configuration file %s must hold keys and values, such as \"listen: 127.0.0.1:8080\".", path)}
	}
	return flatten(nil, "", root), nil
}

// unreadable says it with the path once, where the error of package os would repeat it.
func unreadable(what, path string, err error) error {
	why := err
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		why = pe.Err
	}
	return &greenroom.UserError{Message: fmt.Sprintf("The %s %s cannot be read: %v.", what, path, why), Cause: err}
}

// flatten lists the leaves of a mapping. Anchors are not followed: no key of ours needs them, and they can
// make a small file endless.
func flatten(out []entry, prefix string, m *yaml.Node) []entry {
	for i := 0; i+1 < len(m.Content); i += 2 {
		name, v := prefix+m.Content[i].Value, m.Content[i+1]
		e := entry{name: name, line: m.Content[i].Line, value: v.Value, kind: v.Kind, node: v}
		switch v.Kind {
		case yaml.MappingNode:
			if len(v.Content) > 0 && !rolesName.MatchString(name) {
				out = flatten(out, name+".", v)
				continue
			}
		case yaml.SequenceNode:
			for _, item := range v.Content {
				if item.Kind != yaml.ScalarNode {
					e.kind = item.Kind
				}
				e.list = append(e.list, item.Value)
			}
		case yaml.ScalarNode:
			if v.ShortTag() == "!!null" {
				e.value = ""
			}
		default: // an alias: its kind is refused where the value is read
		}
		out = append(out, e)
	}
	return out
}

var blueprintName = regexp.MustCompile(`^blueprints\.([a-z][a-z0-9-]{0,31})(?:\.|$)`)

// rolesName is the name of a blueprint's roles, whose names are no keys.
var rolesName = regexp.MustCompile(`^blueprints\.[^.]+\.seats$`)

// applyFile sets the keys of the file. A blueprint that says only a part has the default's values for the rest.
func (c *Config) applyFile(entries []entry, bad *greenroom.InvalidError) {
	for _, e := range entries {
		m := blueprintName.FindStringSubmatch(e.name)
		if m != nil && !slices.ContainsFunc(c.Blueprints, func(b greenroom.Blueprint) bool { return b.Name == m[1] }) {
			b := greenroom.DefaultBlueprint()
			b.Name = m[1]
			c.Blueprints = append(c.Blueprints, b)
		}
	}
	known := map[string]key{}
	for _, k := range c.keys() {
		known[k.name] = k
	}
	seen := map[string]int{}
	for _, e := range entries {
		if first, twice := seen[e.name]; twice {
			bad.Add(e.name, "duplicate key, on lines %d and %d", first, e.line)
			continue
		}
		seen[e.name] = e.line
		if at, ok := known[e.name].at.(roles); ok {
			at.read(e.node, e.name, bad)
		} else if err := c.applyEntry(known, e); err != nil {
			bad.Add(e.name, "line %d: %v", e.line, err)
		}
	}
}

func (c *Config) applyEntry(known map[string]key, e entry) error {
	k, ok := known[e.name]
	if !ok {
		if e.kind == yaml.MappingNode && blueprintName.FindString(e.name) == e.name { // "mine: {}": all defaults
			return nil
		}
		return unknown(known, e)
	}
	switch list, isList := k.at.(*[]string); {
	case isList && e.kind == yaml.SequenceNode:
		*list = e.list
		return nil
	case isList:
		return errors.New("must be a list, such as [teacher, student]")
	case e.kind == yaml.SequenceNode && e.name == "gateway_address": // one address was one value before there could be two
		return k.put(strings.Join(e.list, ", "))
	case e.kind != yaml.ScalarNode:
		return errors.New("must be one value")
	}
	return k.put(e.value)
}

// unknown says what was probably meant.
func unknown(known map[string]key, e entry) error {
	if strings.HasPrefix(e.name, "blueprints.") && !blueprintName.MatchString(e.name) {
		return errors.New("is not a name for a blueprint: use lower-case letters, digits and dashes")
	}
	best, least := "", 3 // more than two edits away is no misspelling
	for name := range known {
		if d := distance(name, e.name); d < least || d == least && best != "" && name < best {
			best, least = name, d
		}
	}
	if best != "" {
		return fmt.Errorf("there is no such key; did you mean %s?", best)
	}
	return errors.New("there is no such key; docs/config.md lists them all")
}

// distance counts the letters to insert, delete or replace between a and b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
