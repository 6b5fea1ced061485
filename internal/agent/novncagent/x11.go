package novncagent

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
)

// xclient is the little of an X client that it takes to paint the root window and to see, without polling,
// when a window manager and windows are there. Its byte order is little endian whatever the machine's.
type xclient struct {
	conn net.Conn
	r    *bufio.Reader
	root uint32
}

var le = binary.LittleEndian

// The requests, masks and packets of X11 that are spoken here.
const (
	xChangeWindowAttributes = 2
	xInternAtom             = 16
	xGetProperty            = 20
	xClearArea              = 61
	xBackPixel              = 1 << 1
	xEventMask              = 1 << 11
	xPropertyChange         = 1 << 22
	xError, xReply          = 0, 1
	xPropertyNotify         = 28
	maxReply                = 1 << 20
)

// dialX connects to the display and signs in with the cookie.
func dialX(ctx context.Context, display int, cookie []byte) (*xclient, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", "/tmp/.X11-unix/X"+strconv.Itoa(display))
	if err != nil {
		return nil, fmt.Errorf("connect to the display: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	x := &xclient{conn: conn, r: bufio.NewReader(conn)}
	if err := x.signIn(cookie); err != nil {
		return nil, errors.Join(fmt.Errorf("sign in to the display: %w", err), conn.Close())
	}
	return x, nil
}

func (x *xclient) signIn(cookie []byte) error {
	hello := []byte{'l', 0, 11, 0, 0, 0}
	hello = le.AppendUint16(hello, uint16(len(cookieName)))
	hello = le.AppendUint16(hello, uint16(len(cookie)))
	hello = append(hello, 0, 0)
	hello = append(padded(append(hello, cookieName...)), cookie...)
	if _, err := x.conn.Write(padded(hello)); err != nil {
		return err
	}
	var head [8]byte
	if _, err := io.ReadFull(x.r, head[:]); err != nil {
		return err
	}
	body := make([]byte, 4*int(le.Uint16(head[6:])))
	if _, err := io.ReadFull(x.r, body); err != nil {
		return err
	}
	if head[0] != 1 || len(body) < 32 {
		return fmt.Errorf("refused: %q", body)
	}
	// Vendor and pixmap formats stand before the first screen, which begins with its root window.
	screen := 32 + (int(le.Uint16(body[16:]))+3)/4*4 + 8*int(body[21])
	if len(body) < screen+4 {
		return errors.New("no screen")
	}
	x.root = le.Uint32(body[screen:])
	return nil
}

// send writes one request, padded and with its length filled in.
func (x *xclient) send(opcode byte, body []byte) error {
	body = padded(body)
	request := le.AppendUint16([]byte{opcode, 0}, uint16(1+len(body)/4))
	_, err := x.conn.Write(append(request, body...))
	return err
}

// paint gives the root window a colour (0xRRGGBB) and asks to be told when its properties change.
func (x *xclient) paint(colour uint32) error {
	body := words(x.root, xBackPixel|xEventMask, colour, xPropertyChange)
	if err := x.send(xChangeWindowAttributes, body); err != nil {
		return err
	}
	return x.send(xClearArea, words(x.root, 0, 0))
}

// read returns the next packet: an event, or a whole reply.
func (x *xclient) read() ([]byte, error) {
	packet := make([]byte, 32)
	if _, err := io.ReadFull(x.r, packet); err != nil {
		return nil, err
	}
	switch packet[0] {
	case xError:
		return nil, fmt.Errorf("the display answered with error %d", packet[1])
	case xReply:
		more := 4 * int64(le.Uint32(packet[4:]))
		if more > maxReply {
			return nil, errors.New("the display's answer is too long")
		}
		rest := make([]byte, more)
		_, err := io.ReadFull(x.r, rest)
		return append(packet, rest...), err
	}
	return packet, nil
}

// reply reads up to the next reply and drops the events before it.
func (x *xclient) reply() ([]byte, error) {
	for {
		packet, err := x.read()
		if err != nil || packet[0] == xReply {
			return packet, err
		}
	}
}

// awaitProperty waits until the root window's property holds at least count words. Every change makes the
// display send an event, so a look after each event misses nothing.
func (x *xclient) awaitProperty(name string, count int) error {
	intern := le.AppendUint16(nil, uint16(len(name)))
	intern = append(append(intern, 0, 0), name...)
	if err := x.send(xInternAtom, intern); err != nil {
		return err
	}
	packet, err := x.reply()
	if err != nil {
		return err
	}
	atom := le.Uint32(packet[8:])
	for {
		if err := x.send(xGetProperty, words(x.root, atom, 0, 0, uint32(max(count, 1)))); err != nil {
			return err
		}
		if packet, err = x.reply(); err != nil {
			return err
		}
		if int(le.Uint32(packet[16:])) >= count {
			return nil
		}
		for packet[0]&0x7f != xPropertyNotify {
			if packet, err = x.read(); err != nil {
				return err
			}
		}
	}
}

func words(vs ...uint32) []byte {
	var b []byte
	for _, v := range vs {
		b = le.AppendUint32(b, v)
	}
	return b
}

func padded(b []byte) []byte { return append(b, bytes.Repeat([]byte{0}, -len(b)&3)...) }
