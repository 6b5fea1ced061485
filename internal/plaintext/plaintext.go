// Package plaintext judges text that people see beside other text: titles, names, reasons. What could make it invisible, or
// change the order or the look of what is around it, is refused, and left out where older text is shown.
package plaintext

import (
	"fmt"
	"strings"
	"unicode"
)

// names of the characters that are refused for a reason of their own.
var names = map[rune]string{
	'\u202a': "LEFT-TO-RIGHT EMBEDDING", '\u202b': "RIGHT-TO-LEFT EMBEDDING", '\u202c': "POP DIRECTIONAL FORMATTING",
	'\u202d': "LEFT-TO-RIGHT OVERRIDE", '\u202e': "RIGHT-TO-LEFT OVERRIDE",
	'\u2066': "LEFT-TO-RIGHT ISOLATE", '\u2067': "RIGHT-TO-LEFT ISOLATE", '\u2068': "FIRST STRONG ISOLATE", '\u2069': "POP DIRECTIONAL ISOLATE",
	'\u2028': "LINE SEPARATOR", '\u2029': "PARAGRAPH SEPARATOR", '\ufffd': "REPLACEMENT CHARACTER",
	'\ufff9': "INTERLINEAR ANNOTATION ANCHOR", '\ufffa': "INTERLINEAR ANNOTATION SEPARATOR", '\ufffb': "INTERLINEAR ANNOTATION TERMINATOR",
	'\t': "TAB", '\n': "LINE FEED", '\r': "CARRIAGE RETURN", '\x1b': "ESCAPE", '\x00': "NULL",
}

// marks are the bidirectional controls that stay: right-to-left scripts need them beside punctuation, and they reach no
// further than their neighbours.
var marks = map[rune]bool{'\u061c': true, '\u200e': true, '\u200f': true}

// refused reports whether a character has no place in one line of text: control characters (Cc), separators of lines and
// paragraphs (Zl, Zp), bidirectional embeddings, overrides and isolates, deprecated format characters, noncharacters, and
// what stands for bytes that were no UTF-8.
func refused(r rune) bool {
	switch {
	case marks[r]:
		return false
	case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point):
		return true
	}
	return r == unicode.ReplacementChar || r >= '\u206a' && r <= '\u206f' || r >= '\ufff9' && r <= '\ufffb'
}

// visible reports whether a character leaves a mark on a screen by itself.
func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != '\u2800'
}

// Fault says what is wrong with one line of text: which character it must not contain and where, counted from 1, or that
// nothing in it can be seen. It is "" if nothing is wrong, as with empty text.
func Fault(s string) string {
	position, seen := 0, false
	for _, r := range s {
		position++
		if refused(r) {
			return fmt.Sprintf("it must not contain %s, at position %d", name(r), position)
		}
		seen = seen || visible(r)
	}
	if s != "" && !seen {
		return "it has no visible character"
	}
	return ""
}

func name(r rune) string {
	if n := names[r]; n != "" {
		return fmt.Sprintf("U+%04X %s", r, n)
	}
	if unicode.Is(unicode.Cc, r) {
		return fmt.Sprintf("the control character U+%04X", r)
	}
	return fmt.Sprintf("the format character U+%04X", r)
}

// Clean leaves out what Fault refuses. It is for text that was stored before it was refused, and for text of others.
func Clean(s string) string {
	if !strings.ContainsFunc(s, refused) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if refused(r) {
			return -1
		}
		return r
	}, s)
}
