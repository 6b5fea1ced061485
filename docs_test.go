package greenroom_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var (
	codeSpan = regexp.MustCompile("`[^`]*`")
	listMark = regexp.MustCompile(`^\s*([-*]|(\*\*)?\d+\.) +`)
	// nextSentence is the end of a sentence with the beginning of another behind it.
	nextSentence = regexp.MustCompile(`[^*\d][.!?][)*”"]* +([A-Z*(“\[]|greenroom\b)|\d[.!?] +[A-Z]`)
	sentenceEnd  = regexp.MustCompile(`[.!?:;…][)*”"_]*$`)
)

// TestDocsWrap: documents have one sentence a line, so that a diff shows the sentence that changed.
func TestDocsWrap(t *testing.T) {
	t.Parallel()
	for _, path := range documents(t, "README.md", "CONTRIBUTING.md", "docs/*.md", "docs/adr/*.md") {
		var before string // the line above in the same paragraph
		for i, line := range proseLines(t, path) {
			text := codeSpan.ReplaceAllString(line, "x")
			if two := nextSentence.FindString(listMark.ReplaceAllString(text, "")); two != "" {
				t.Errorf("%s:%d has two sentences: …%s…", path, i+1, two)
			}
			if before != "" && text != "" && !listMark.MatchString(text) && !sentenceEnd.MatchString(before) {
				t.Errorf("%s:%d continues a sentence of the line above", path, i+1)
			}
			before = text
		}
	}
}

// proseLines are the lines of a document, with those that are not prose (tables, code, headings, front matter) empty.
func proseLines(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	code := false
	front := lines[0] == "---"
	for i, line := range lines {
		fence := strings.HasPrefix(strings.TrimSpace(line), "```")
		code = code != fence
		if code || fence || front || strings.HasPrefix(strings.TrimSpace(line), "|") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "!") {
			lines[i] = ""
		}
		front = front && (i == 0 || line != "---")
	}
	return lines
}

func documents(t *testing.T, patterns ...string) []string {
	t.Helper()
	var out []string
	for _, p := range patterns {
		found, err := filepath.Glob(p)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s names no document: %v", p, err)
		}
		out = append(out, found...)
	}
	return out
}

var decision = regexp.MustCompile(`^---\nstatus: (accepted|superseded by .*)\ndate: \d{4}-\d\d-\d\d\n(supersedes: .*\n)?---\n# (\d+)\. \S`)

// TestDecisionsHaveOneForm: each decision has a status, a date and the number of its file, and no two have the same.
func TestDecisionsHaveOneForm(t *testing.T) {
	t.Parallel()
	seen := make(map[int]string)
	for _, path := range documents(t, "docs/adr/*.md") {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m := decision.FindStringSubmatch(string(text))
		if m == nil {
			t.Errorf("%s does not begin with status, date and a numbered title", path)
			continue
		}
		number, err := strconv.Atoi(filepath.Base(path)[:4])
		if err != nil || strconv.Itoa(number) != m[3] {
			t.Errorf("%s is titled %s", path, m[3])
		}
		if other, twice := seen[number]; twice {
			t.Errorf("%s and %s have the same number", other, path)
		}
		seen[number] = path
	}
}
