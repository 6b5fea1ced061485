package novncagent

import "testing"

func TestWhatTheXServerSaidIsOneSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"\nXvnc TigerVNC 1.12.0\n(EE) \nFatal server error:\n(EE) Could not create lock file in /tmp/.tX0-lock\n(EE) \n": "Could not create lock file in /tmp/.tX0-lock",
		"error while loading shared libraries: libx.so\n":                                                                "error while loading shared libraries: libx.so",
		"": "nothing",
		"Fatal server error:\nfailed to set default font path 'x'.\nmore\nand more\nand too much\n": "failed to set default font path 'x'; more; and more",
	} {
		if got := inOneLine([]byte(text)); got != want {
			t.Errorf("%q is told as %q, want %q", text, got, want)
		}
	}
}
