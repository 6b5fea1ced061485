// Package roster reads lists of people: CSV files with a header, and what organisers paste. It splits and names faults; what
// a name or an address may be is for package meetings to judge.
package roster

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Person is one entry of a list.
type Person struct {
	Role  string
	Name  string
	Email string
}

// Bounds of a list.
const (
	MaxSize   = 1 << 20 // bytes
	MaxPeople = 1000
)

// columns are those of a file, in the order in which faults name them.
var columns = []string{"role", "name", "email"}

// ReadCSV reads a file whose first line names its columns: role, and name and email if there are any, in any order. They are
// separated by commas, semicolons or tabs. A byte order mark, a line such as sep=; before the header, CRLF or CR alone, quotes and
// empty lines are fine. Faults name line and column.
func ReadCSV(r io.Reader) ([]Person, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxSize:
		return nil, fmt.Errorf("the list is larger than %d KiB", MaxSize>>10)
	case !utf8.Valid(text):
		return nil, fmt.Errorf("line %d: the text is not UTF-8; save the list as \"CSV UTF-8\"", invalidLine(text))
	}
	text = plainLines(text)
	rows := csv.NewReader(bytes.NewReader(text))
	rows.FieldsPerRecord = -1
	rows.Comma = separator(text)
	rows.TrimLeadingSpace = rows.Comma != '\t' // a tab is space, too: an empty cell would vanish and the next take its place
	head, err := rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the list is empty; its first line names the columns: role,name,email")
	}
	if err != nil {
		return nil, explain(err)
	}
	at, err := header(head)
	if err != nil {
		return nil, err
	}
	var out []Person
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, explain(err)
		}
		line, _ := rows.FieldPos(0)
		p, err := person(row, at, len(head), line)
		if err != nil {
			return nil, err
		}
		if p == (Person{}) {
			continue
		}
		if len(out) == MaxPeople {
			return nil, fmt.Errorf("line %d: the list has more than %d people", line, MaxPeople)
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return nil, errors.New("the list has a header and nobody below it")
	}
	return out, nil
}

// plainLines is the text without what spreadsheets put before the header, and with lines that end in a line feed. The number
// of lines stays, so that faults name the right one.
func plainLines(text []byte) []byte {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !bytes.Contains(text, []byte("\n")) {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if setting, ok := bytes.CutPrefix(bytes.ToLower(bytes.TrimSpace(first)), []byte("sep=")); ok && len(setting) <= 1 {
		return append([]byte("\n"), rest...)
	}
	return text
}

// separator is what the header has most of.
func separator(text []byte) rune {
	first, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	best, most := ',', bytes.Count(first, []byte(","))
	for _, r := range ";\t" {
		if n := bytes.Count(first, []byte(string(r))); n > most {
			best, most = r, n
		}
	}
	return best
}

// header finds where each column is.
func header(head []string) (map[string]int, error) {
	at := map[string]int{}
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		if name == "e-mail" {
			name = "email"
		}
		if !slices.Contains(columns, name) {
			return nil, fmt.Errorf("line 1, column %d: the columns are role, name and email; there is none called %q", i+1, clip(name))
		}
		if _, twice := at[name]; twice {
			return nil, fmt.Errorf("line 1, column %d: duplicate column %q", i+1, name)
		}
		at[name] = i
	}
	if _, ok := at["role"]; !ok {
		return nil, errors.New("line 1: the column role is missing; the first line names the columns, such as role,name,email")
	}
	return at, nil
}

func person(row []string, at map[string]int, width, line int) (Person, error) {
	cell := func(column string) string {
		if i, ok := at[column]; ok && i < len(row) {
			return strings.TrimSpace(row[i])
		}
		return ""
	}
	p := Person{Role: cell("role"), Name: cell("name"), Email: cell("email")}
	switch {
	case len(row) > width:
		return p, fmt.Errorf("line %d, column %d: there are %d columns, and the first line names %d; put a name with a separator in it into quotes", line, width+1, len(row), width)
	case p.Role == "" && p != (Person{}):
		return p, fmt.Errorf("line %d, column %d (role): a role is missing", line, at["role"]+1)
	}
	return p, nil
}

func explain(err error) error {
	if e, ok := errors.AsType[*csv.ParseError](err); ok {
		return fmt.Errorf("line %d, column %d: %w", e.Line, e.Column, e.Err)
	}
	return err
}

func invalidLine(text []byte) int {
	line := 1
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		text = text[n:]
	}
	return line
}

func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
