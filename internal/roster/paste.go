package roster

import (
	"fmt"
	"net/mail"
	"slices"
	"strings"
)

var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// ReadPasted reads a list that somebody pasted, one person a line: Name, Name <address>, name, address, or the cells of a
// spreadsheet, which come with tabs. A cell that is one of roles says the role; every other person has the role given. Lines
// without text are passed over. Faults name the line.
func ReadPasted(text, role string, roles []string) ([]Person, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the list is larger than %d KiB", MaxSize>>10)
	}
	var out []Person
	n := 0
	for line := range strings.Lines(newlines.Replace(strings.TrimPrefix(text, "\ufeff"))) {
		n++
		p, err := pasted(strings.TrimSpace(line), roles)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if p == (Person{}) {
			continue
		}
		if p.Role == "" {
			p.Role = role
		}
		if len(out) == MaxPeople {
			return nil, fmt.Errorf("line %d: the list has more than %d people", n, MaxPeople)
		}
		out = append(out, p)
	}
	return out, nil
}

func pasted(line string, roles []string) (Person, error) {
	var p Person
	if a, err := mail.ParseAddress(line); err == nil && strings.HasSuffix(line, ">") {
		return Person{Name: a.Name, Email: a.Address}, nil
	}
	if before, rest, ok := strings.Cut(line, "<"); ok && strings.HasSuffix(rest, ">") && !strings.ContainsAny(line, "\t;") {
		return Person{Name: unquote(before), Email: strings.TrimSuffix(rest, ">")}, nil
	}
	for _, cell := range cells(line) {
		cell = unquote(cell)
		switch {
		case cell == "":
		case p.Role == "" && slices.Contains(roles, cell) && strings.ContainsAny(line, "\t;,"):
			p.Role = cell
		case p.Email == "" && strings.Contains(cell, "@"):
			p.Email = strings.Trim(cell, "<>")
		case p.Name == "":
			p.Name = cell
		default:
			return p, fmt.Errorf("%q is neither a name nor an address: write one person a line, as \"Name <address>\" or \"name, address\"", clip(cell))
		}
	}
	return p, nil
}

// cells splits a line at its tabs, or else at its semicolons, or else at its last comma: "Lovelace, Ada, ada@example.com" is
// one name.
func cells(line string) []string {
	for _, separator := range []string{"\t", ";"} {
		if strings.Contains(line, separator) {
			return strings.Split(line, separator)
		}
	}
	if i := strings.LastIndexByte(line, ','); i >= 0 && strings.Contains(line[i:], "@") {
		return []string{line[:i], line[i+1:]}
	}
	if before, after, ok := strings.Cut(line, ","); ok && strings.Contains(before, "@") {
		return []string{before, after}
	}
	return []string{line}
}

func unquote(cell string) string {
	cell = strings.TrimSpace(cell)
	if len(cell) >= 2 && cell[0] == '"' && cell[len(cell)-1] == '"' {
		cell = strings.ReplaceAll(cell[1:len(cell)-1], `""`, `"`)
	}
	return strings.TrimSpace(cell)
}
