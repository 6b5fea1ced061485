package roster_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"greenroom/internal/roster"
)

func TestReadCSV(t *testing.T) {
	t.Parallel()
	two := []roster.Person{{"teacher", "Ada", "ada@example.com"}, {"student", "Bob, the second", ""}}
	for name, text := range map[string]string{
		"Plain":          "role,name,email\nteacher,Ada,ada@example.com\nstudent,\"Bob, the second\",\n",
		"OtherOrder":     "email,role,name\nada@example.com,teacher,Ada\n,student,\"Bob, the second\"\n",
		"OfASpreadsheet": "\ufeffRole;Name;E-mail\r\nteacher;Ada;ada@example.com\r\n\r\nstudent;Bob, the second;\r\n",
		"Tabs":           "role\tname\temail\nteacher\tAda\tada@example.com\nstudent\tBob, the second\n",
		"Sep":            "\ufeffsep=;\r\nrole;name;email\r\nteacher;Ada;ada@example.com\r\nstudent;Bob, the second;\r\n",
		"OldMac":         "role,name,email\rteacher,Ada,ada@example.com\rstudent,\"Bob, the second\",\r",
		"EmptyFirst":     "\r\n\nrole;name;email\nteacher;Ada;ada@example.com\nstudent;Bob, the second\n",
		"EmptyRows":      "role,name,email\n,,\nteacher, Ada ,ada@example.com\nstudent,\"Bob, the second\"\n,,\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := roster.ReadCSV(strings.NewReader(text))
			if diff := cmp.Diff(two, got); diff != "" || err != nil {
				t.Errorf("err %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// An empty cell stays a cell: with tabs it is a space between two spaces.
func TestEmptyCellsKeepTheirColumn(t *testing.T) {
	t.Parallel()
	want := []roster.Person{{Role: "student", Email: "ada@example.com"}}
	for _, separator := range []string{",", ";", "\t"} {
		got, err := roster.ReadCSV(strings.NewReader(strings.NewReplacer(",", separator).Replace("role,name,email\nstudent,,ada@example.com\n")))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("separator %q: err %v (-want +got):\n%s", separator, err, diff)
		}
	}
}

func TestFaultsOfCSV(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, says string }{
		"Empty":          {"", "the list is empty"},
		"HeaderOnly":     {"role,name\n", "nobody below it"},
		"NoHeader":       {"teacher,Ada\n", `line 1, column 1: the columns are role, name and email; there is none called "teacher"`},
		"NoRole":         {"name,email\nAda,a@b.c\n", "the column role is missing"},
		"TwoOfAColumn":   {"role,name,Name\n", `line 1, column 3: duplicate column "name"`},
		"RoleMissing":    {"name,role\nAda,teacher\nBob,\n", "line 3, column 2 (role): a role is missing"},
		"TooManyColumns": {"role,name\nstudent,Bob, the second\n", "line 2, column 3: there are 3 columns"},
		"LineBehindSep":  {"sep=;\nrole;name\n;Bob\n", "line 3, column 1 (role): a role is missing"},
		"OpenQuote":      {"role,name\nstudent,\"Bob\nteacher,Ada\n", "line"},
		"StrayQuote":     {"role,name\nstudent,B\"ob\n", "line 2, column"},
		"NotUTF8":        {"role,name\nstudent,Zo\xeb\n", "line 2: the text is not UTF-8"},
		"TooLarge":       {"role,name\n" + strings.Repeat("student,Bob\n", 100_000), "larger than 1024 KiB"},
		"TooMany":        {"role,name\n" + strings.Repeat("student,Bob\n", 1001), "line 1002: the list has more than 1000 people"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := roster.ReadCSV(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, %v, want %q", got, err, c.says)
			}
		})
	}
}

func TestReadPasted(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]roster.Person{
		"Ada Lovelace":                      {"student", "Ada Lovelace", ""},
		"Ada Lovelace <ada@example.com>":    {"student", "Ada Lovelace", "ada@example.com"},
		`"Lovelace, Ada" <ada@example.com>`: {"student", "Lovelace, Ada", "ada@example.com"},
		"Lovelace, Ada <ada@example.com>":   {"student", "Lovelace, Ada", "ada@example.com"},
		"Ada Lovelace, ada@example.com":     {"student", "Ada Lovelace", "ada@example.com"},
		"Lovelace, Ada, ada@example.com":    {"student", "Lovelace, Ada", "ada@example.com"},
		"ada@example.com, Ada Lovelace":     {"student", "Ada Lovelace", "ada@example.com"},
		"ada@example.com":                   {"student", "", "ada@example.com"},
		"<ada@example.com>":                 {"student", "", "ada@example.com"},
		"Ada Lovelace\tada@example.com":     {"student", "Ada Lovelace", "ada@example.com"},
		"teacher\tAda\tada@example.com":     {"teacher", "Ada", "ada@example.com"},
		"Ada;ada@example.com;teacher":       {"teacher", "Ada", "ada@example.com"},
		"teacher":                           {"student", "teacher", ""},
		"Lovelace, Ada":                     {"student", "Lovelace, Ada", ""},
		"Zoë O’Neill\t":                     {"student", "Zoë O’Neill", ""},
	} {
		got, err := roster.ReadPasted("\n"+line+"\r\n\r\n", "student", []string{"teacher", "student"})
		if diff := cmp.Diff([]roster.Person{want}, got); diff != "" || err != nil {
			t.Errorf("%q: err %v (-want +got):\n%s", line, err, diff)
		}
	}
	if _, err := roster.ReadPasted("Ada\r\nBob\tbob@example.com\tfive\tsix", "student", nil); err == nil || !strings.Contains(err.Error(), "line 2: ") {
		t.Error(err)
	}
	if got, err := roster.ReadPasted(" \n\n", "student", nil); got != nil || err != nil {
		t.Error(got, err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("role,name,email\nteacher,Ada,ada@example.com\n")
	f.Add("\ufeffrole;name\r\n\"x\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, read := range []func() ([]roster.Person, error){
			func() ([]roster.Person, error) { return roster.ReadCSV(strings.NewReader(text)) },
			func() ([]roster.Person, error) { return roster.ReadPasted(text, "student", []string{"teacher"}) },
		} {
			got, err := read()
			if len(got) > roster.MaxPeople {
				t.Errorf("%d people", len(got))
			}
			for _, p := range got {
				if err == nil && p.Role == "" {
					t.Errorf("no role: %+v", p)
				}
			}
		}
	})
}
