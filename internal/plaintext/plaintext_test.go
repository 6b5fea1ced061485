package plaintext_test

import (
	"testing"

	"greenroom/internal/plaintext"
)

func TestFault(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                  "",
		"Algebra, lesson 4": "",
		"Ålgébra 代数 الجبر אלגברה":        "",
		"👩‍🏫 class":                      "", // joined by U+200D
		"می\u200cخواهم":                  "", // with U+200C
		"C++\u200f":                      "", // a mark
		"soft\u00adhyphen":               "",
		"\U0001f3f4\U000e0067\U000e007f": "",
		"\u200b":                         "it has no visible character",
		"\u200b \u00ad\u2060\ufeff":      "it has no visible character",
		"\u3164\u115f":                   "it has no visible character", // Hangul fillers count as letters
		"\u2800":                         "it has no visible character", // a Braille cell without dots
		"\u00a0":                         "it has no visible character",
		"\ufe0f\u034f":                   "it has no visible character",
		"abc\u202egpj":                   "it must not contain U+202E RIGHT-TO-LEFT OVERRIDE, at position 4",
		"\u2066x\u2069":                  "it must not contain U+2066 LEFT-TO-RIGHT ISOLATE, at position 1",
		"äö\u2067":                       "it must not contain U+2067 RIGHT-TO-LEFT ISOLATE, at position 3",
		"a\u2068":                        "it must not contain U+2068 FIRST STRONG ISOLATE, at position 2",
		"a\u2069":                        "it must not contain U+2069 POP DIRECTIONAL ISOLATE, at position 2",
		"a\u202a":                        "it must not contain U+202A LEFT-TO-RIGHT EMBEDDING, at position 2",
		"a\u0085b":                       "it must not contain the control character U+0085, at position 2",
		"a\u009bb":                       "it must not contain the control character U+009B, at position 2",
		"a\x7f":                          "it must not contain the control character U+007F, at position 2",
		"a\nb":                           "it must not contain U+000A LINE FEED, at position 2",
		"a\u2028b":                       "it must not contain U+2028 LINE SEPARATOR, at position 2",
		"a\u206a":                        "it must not contain the format character U+206A, at position 2",
		"a\ufff9":                        "it must not contain U+FFF9 INTERLINEAR ANNOTATION ANCHOR, at position 2",
		"a\xff":                          "it must not contain U+FFFD REPLACEMENT CHARACTER, at position 2",
		"a\uffff":                        "it must not contain the format character U+FFFF, at position 2",
	} {
		if got := plaintext.Fault(text); got != want {
			t.Errorf("Fault(%q) is %q, want %q", text, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Sam": "Sam", "a\u202eb\u2066c": "abc", "\x1b[31mred": "[31mred", "one\ntwo": "onetwo", "👩‍🏫": "👩‍🏫", "C++\u200f": "C++\u200f", "a\u009bb": "ab",
	} {
		if got := plaintext.Clean(text); got != want {
			t.Errorf("Clean(%q) is %q, want %q", text, got, want)
		}
	}
}
