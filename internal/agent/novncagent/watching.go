package novncagent

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The messages of an RFB client, and how long they are, for versions 3.7 and 3.8 and the extensions that Xtigervnc knows.
const (
	rfbSetPixelFormat    = 0
	rfbSetEncodings      = 2
	rfbUpdateRequest     = 3
	rfbKeyEvent          = 4
	rfbPointerEvent      = 5
	rfbClientCutText     = 6
	rfbContinuousUpdates = 150
	rfbFence             = 248
	rfbXVP               = 250
	rfbSetDesktopSize    = 251
	rfbQEMU              = 255
)

const (
	maxEncodings = 256
	maxCut       = 16 << 20 // bytes of clipboard that are thrown away
)

// speaking are the encodings by which a client says that it will send more kinds of messages, and that the server may wait for
// them: fences, continuous updates, keys and pointers of other kinds, and the extended clipboard. A watcher's are left out.
var speaking = []int32{-312, -313, -258, -257, -261, -316, -305, int32(-0x3f5e1a32)}

var errUnspoken = errors.New("a message that RFB does not have")

// watch copies from a client to the screen what it takes to see it, and drops what would do something: keys, pointer, clipboard,
// the screen's size. It returns when the client ends, io.EOF aside, or says what it cannot follow.
func watch(screen io.Writer, client io.Reader) error {
	in := bufio.NewReaderSize(client, 4<<10)
	if err := watchHandshake(screen, in); err != nil {
		return err
	}
	for {
		kind, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = watchMessage(screen, in, kind)
		}
		if err != nil {
			return err
		}
	}
}

// watchHandshake passes the client's version, its choice of security and its wish to share the screen, which it has to have.
func watchHandshake(screen io.Writer, in io.Reader) error {
	var version [12]byte
	if _, err := io.ReadFull(in, version[:]); err != nil {
		return err
	}
	if v := string(version[:]); v != "RFB 003.008\n" && v != "RFB 003.007\n" {
		return fmt.Errorf("version %q: %w", v, errUnspoken)
	}
	if _, err := screen.Write(version[:]); err != nil {
		return err
	}
	security, err := take(in, 1)
	if err != nil {
		return err
	}
	if security[0] != 1 { // none: who is let in was decided before
		return fmt.Errorf("security %d: %w", security[0], errUnspoken)
	}
	if _, err := screen.Write(security); err != nil {
		return err
	}
	if _, err := take(in, 1); err != nil {
		return err
	}
	_, err = screen.Write([]byte{1}) // shared, whatever it said: nobody is shut out
	return err
}

// watchMessage reads one message and passes it on if it only asks to see.
func watchMessage(screen io.Writer, in *bufio.Reader, kind byte) error {
	switch kind {
	case rfbSetPixelFormat:
		return passOn(screen, in, kind, 19)
	case rfbUpdateRequest:
		return passOn(screen, in, kind, 9)
	case rfbSetEncodings:
		return passEncodings(screen, in)
	case rfbKeyEvent:
		return drop(in, 7)
	case rfbPointerEvent:
		return drop(in, 5)
	case rfbContinuousUpdates:
		return drop(in, 9)
	case rfbClientCutText:
		head, err := take(in, 7)
		if err != nil {
			return err
		}
		n := int64(int32(binary.BigEndian.Uint32(head[3:])))
		return drop(in, max(n, -n)) // a negative length is the extended clipboard's
	case rfbFence:
		head, err := take(in, 8)
		if err != nil {
			return err
		}
		return drop(in, int64(head[7]))
	case rfbSetDesktopSize:
		head, err := take(in, 7)
		if err != nil {
			return err
		}
		return drop(in, 16*int64(head[5]))
	case rfbXVP:
		return drop(in, 3)
	case rfbQEMU:
		return drop(in, 11)
	}
	return fmt.Errorf("type %d: %w", kind, errUnspoken)
}

// passEncodings passes the client's encodings without those that are for speaking.
func passEncodings(screen io.Writer, in io.Reader) error {
	head, err := take(in, 3)
	if err != nil {
		return err
	}
	n := int(binary.BigEndian.Uint16(head[1:]))
	if n > maxEncodings {
		return fmt.Errorf("%d encodings: %w", n, errUnspoken)
	}
	list, err := take(in, 4*n)
	if err != nil {
		return err
	}
	var kept []byte
	for ; len(list) > 0; list = list[4:] {
		if !slices.Contains(speaking, int32(binary.BigEndian.Uint32(list))) {
			kept = append(kept, list[:4]...)
		}
	}
	out := binary.BigEndian.AppendUint16([]byte{rfbSetEncodings, 0}, uint16(len(kept)/4))
	_, err = screen.Write(append(out, kept...))
	return err
}

func passOn(screen io.Writer, in io.Reader, kind byte, n int) error {
	rest, err := take(in, n)
	if err == nil {
		_, err = screen.Write(append([]byte{kind}, rest...))
	}
	return err
}

func take(in io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(in, b)
	return b, err
}

func drop(in *bufio.Reader, n int64) error {
	if n > maxCut {
		return fmt.Errorf("%d bytes: %w", n, errUnspoken)
	}
	_, err := io.CopyN(io.Discard, in, n)
	return err
}
