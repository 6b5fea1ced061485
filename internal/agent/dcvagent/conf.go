package dcvagent

import (
	"fmt"
	"strconv"
	"strings"
)

// edit puts settings into the text of a dcv.conf, and tells which of them it changed. Everything else in it, comments and the
// operator's own keys, stays as it is.
func edit(text string, settings []setting) (string, []setting) {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if text == "" {
		lines = nil
	}
	var changed []setting
	for _, s := range settings {
		at, end := find(lines, s.section, s.key)
		line := s.key + "=" + variant(s.value)
		switch {
		case at >= 0 && same(lines[at], s):
		case at >= 0:
			lines[at], changed = line, append(changed, s)
		case end >= 0:
			lines = append(lines[:end], append([]string{line}, lines[end:]...)...)
			changed = append(changed, s)
		default:
			if len(lines) > 0 {
				lines = append(lines, "")
			}
			lines, changed = append(lines, "["+s.section+"]", line), append(changed, s)
		}
	}
	return strings.Join(lines, "\n") + "\n", changed
}

// find gives the line of a section's key, -1 if there is none, and where a new one would go, -1 if there is no such section.
// Of a duplicate key the last one counts, as it does for DCV.
func find(lines []string, section, key string) (at, end int) {
	at, end = -1, -1
	in := false
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") && strings.HasSuffix(line, "]") {
			in = line == "["+section+"]"
			if in {
				end = i + 1
			}
			continue
		}
		if !in || line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		end = i + 1
		if name, _, ok := strings.Cut(line, "="); ok && strings.TrimSpace(name) == key {
			at = i
		}
	}
	return at, end
}

// same reports whether a line says what the setting does, however it is quoted.
func same(line string, s setting) bool {
	_, value, _ := strings.Cut(line, "=")
	value = strings.TrimSpace(value)
	if text, ok := s.value.(string); ok {
		return value == quoted(text, '"') || value == quoted(text, '\'')
	}
	return value == variant(s.value)
}

// variant writes a value as GVariant's text form does.
func variant(value any) string {
	switch v := value.(type) {
	case bool:
		return strconv.FormatBool(v)
	case string:
		return quoted(v, '"')
	default:
		return fmt.Sprint(v)
	}
}

func quoted(text string, quote rune) string {
	var b strings.Builder
	b.WriteRune(quote)
	for _, r := range text {
		switch {
		case r == quote, r == '\\':
			b.WriteRune('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteRune(quote)
	return b.String()
}
