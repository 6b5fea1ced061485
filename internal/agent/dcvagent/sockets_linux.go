package dcvagent

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"net"
	"os"
	"strconv"
	"syscall"
)

// maxRows bounds what is read of the kernel's table of sockets.
const maxRows = 10_000

// clients names the sockets that are connected to address's port, so that a change of them can be seen at little cost.
func clients(address string) (string, bool) {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", false
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", false
	}
	names := &peers{hash: fnv.New64a()}
	if err := names.ask(uint16(port)); err != nil { // a kernel without such questions: its files hold the same, and cost several times as much
		names = &peers{hash: fnv.New64a()}
		names.read(uint16(port), "/proc/net/tcp", "/proc/net/tcp6")
	}
	return fmt.Sprintf("%d %x", names.count, names.hash.Sum64()), true
}

// peers counts connections and sums up who they are with.
type peers struct {
	hash  hash.Hash64 // takes everything
	count int
}

// What the kernel is asked and answers, as <linux/inet_diag.h> has it.
const (
	diagByFamily   = 20 // SOCK_DIAG_BY_FAMILY
	diagRequest    = 16 + 56
	diagAnswer     = 16 + 52 // with the part of the socket's names
	establishedBit = 1 << 1  // TCP_ESTABLISHED
)

// ask has the kernel look for the port, instead of writing down all sockets that there are.
func (p *peers) ask(port uint16) error {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &syscall.Timeval{Sec: 1}); err != nil {
		return err
	}
	return errors.Join(p.askFamily(fd, port, syscall.AF_INET), p.askFamily(fd, port, syscall.AF_INET6))
}

func (p *peers) askFamily(fd int, port uint16, family byte) error {
	q := make([]byte, diagRequest)
	binary.NativeEndian.PutUint32(q[0:], diagRequest)
	binary.NativeEndian.PutUint16(q[4:], diagByFamily)
	binary.NativeEndian.PutUint16(q[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	q[16], q[17] = family, syscall.IPPROTO_TCP
	binary.NativeEndian.PutUint32(q[20:], establishedBit)
	binary.BigEndian.PutUint16(q[24:], port)
	if err := syscall.Sendto(fd, q, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 32<<10)
	for range maxRows {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return err
		}
		for _, m := range messages {
			switch {
			case m.Header.Type == syscall.NLMSG_DONE:
				return nil
			case m.Header.Type != diagByFamily || len(m.Data) < diagAnswer-16:
				return errors.New("the kernel does not tell of sockets")
			}
			p.add(m.Data[6:8], m.Data[24:40]) // the other side's port and address
		}
	}
	return errors.New("the kernel tells of too many sockets")
}

func (p *peers) add(parts ...[]byte) {
	for _, b := range parts {
		_, _ = p.hash.Write(b)
	}
	p.count++
}

// read goes through the kernel's own lists.
func (p *peers) read(port uint16, tables ...string) {
	local := fmt.Appendf(nil, ":%04X ", port)
	for _, table := range tables {
		f, err := os.Open(table)
		if err != nil {
			continue // a kernel without IPv6
		}
		rows := bufio.NewScanner(f)
		for i := 0; i < maxRows && rows.Scan(); i++ {
			// "  1: LOCAL:PORT REMOTE:PORT STATE …": most rows are told apart without taking them to pieces
			at := bytes.Index(rows.Bytes(), local)
			if at < 0 {
				continue
			}
			rest := bytes.Fields(rows.Bytes()[at+len(local):])
			if len(rest) > 1 && len(rest[1]) == 2 && string(rest[1]) == "01" { // connected, and this was the local side
				p.add(rest[0])
			}
		}
		f.Close()
	}
}
