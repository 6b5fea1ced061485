package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"greenroom"
)

// roles is the place of a blueprint's roles. They are a list of names, or each has a count, or says more:
// {teacher: 1, student: {count: 12, max: 40}}.
type roles struct{ of *greenroom.Blueprint }

var errRoles = errors.New("must be a list, such as [teacher, student], or roles with counts, such as {teacher: 1, student: {count: 12, max: 40}}")

// put reads the form of the environment: teacher, student=12; or what a file may hold, on one line.
func (r roles) put(v string) error {
	if v = strings.TrimSpace(v); strings.HasPrefix(v, "{") || strings.HasPrefix(v, "[") {
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(v), &doc); err != nil || len(doc.Content) == 0 {
			return errRoles
		}
		var bad greenroom.InvalidError
		r.read(doc.Content[0], "", &bad)
		if len(bad.Fields) > 0 {
			return errors.New(strings.TrimPrefix(bad.Fields[0].Field+": "+bad.Fields[0].Message, ": "))
		}
		return nil
	}
	var out []greenroom.Role
	for item := range strings.SplitSeq(v, ",") {
		name, count, counted := strings.Cut(strings.TrimSpace(item), "=")
		if name == "" {
			continue
		}
		role := greenroom.Role{Name: strings.TrimSpace(name), Count: 1}
		if counted {
			n, err := strconv.Atoi(strings.TrimSpace(count))
			if err != nil {
				return fmt.Errorf("the count of %s must be a whole number, and is %q", role.Name, count)
			}
			role.Count = n
		}
		out = append(out, role)
	}
	r.of.SetRoles(out)
	return nil
}

// read takes the roles out of a file, and notes its faults below the field.
func (r roles) read(n *yaml.Node, field string, bad *greenroom.InvalidError) {
	var out []greenroom.Role
	switch n.Kind {
	case yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				bad.Add(field, "line %d: %v", item.Line, errRoles)
				return
			}
			out = append(out, greenroom.Role{Name: item.Value, Count: 1})
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name, value := n.Content[i], n.Content[i+1]
			role := greenroom.Role{Name: name.Value, Count: 1}
			if slices.ContainsFunc(out, func(o greenroom.Role) bool { return o.Name == role.Name }) {
				bad.Add(below(field, role.Name), "line %d: duplicate role %q", name.Line, role.Name)
				continue
			}
			readRole(value, below(field, role.Name), &role, bad)
			out = append(out, role)
		}
	default:
		bad.Add(field, "line %d: %v", n.Line, errRoles)
		return
	}
	r.of.SetRoles(out)
}

// readRole reads what stands beside a role's name: nothing, its count, or more.
func readRole(n *yaml.Node, field string, role *greenroom.Role, bad *greenroom.InvalidError) {
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null":
	case n.Kind == yaml.ScalarNode:
		readCount(n, field, &role.Count, bad)
	case n.Kind == yaml.MappingNode:
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if seen[key.Value] {
				bad.Add(below(field, key.Value), "line %d: duplicate key", key.Line)
				continue
			}
			seen[key.Value] = true
			readRoleKey(key, value, below(field, key.Value), role, bad)
		}
	default:
		bad.Add(field, "line %d: must be a count, such as 12, or keys and values, such as {count: 12, max: 40}", n.Line)
	}
}

func readRoleKey(key, value *yaml.Node, field string, role *greenroom.Role, bad *greenroom.InvalidError) {
	switch key.Value {
	case "count":
		readCount(value, field, &role.Count, bad)
	case "max":
		readCount(value, field, &role.Max, bad)
	case "screen":
		readText(value, field, &role.Screen, bad)
	case "image":
		readText(value, field, &role.Image, bad)
	case "applications":
		readList(value, field, &role.Applications, bad)
	case "instance_types":
		readList(value, field, &role.InstanceTypes, bad)
	default:
		bad.Add(field, "line %d: there is no such key; a role has count, max, screen, applications, image and instance_types", key.Line)
	}
}

func readCount(n *yaml.Node, field string, to *int, bad *greenroom.InvalidError) {
	v, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		bad.Add(field, "line %d: must be a whole number, and is %q", n.Line, n.Value)
		return
	}
	*to = v
}

func readText(n *yaml.Node, field string, to *string, bad *greenroom.InvalidError) {
	if n.Kind != yaml.ScalarNode {
		bad.Add(field, "line %d: must be one value", n.Line)
		return
	}
	*to = n.Value
}

func readList(n *yaml.Node, field string, to *[]string, bad *greenroom.InvalidError) {
	out := []string{} // an empty list is something else than none
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			bad.Add(field, "line %d: must be a list of values", item.Line)
			return
		}
		out = append(out, item.Value)
	}
	if n.Kind != yaml.SequenceNode {
		bad.Add(field, "line %d: must be a list", n.Line)
		return
	}
	*to = out
}

func below(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

// shown writes the roles as put reads them.
func (r roles) shown() string {
	out := make([]string, len(r.of.Seats))
	for i, name := range r.of.Seats {
		role, _ := r.of.Role(name)
		out[i] = name
		if role.Count != 1 {
			out[i] += "=" + strconv.Itoa(role.Count)
		}
	}
	return strings.Join(out, ", ")
}
