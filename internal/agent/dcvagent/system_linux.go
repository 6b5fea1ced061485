package dcvagent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
)

// DefaultPaths are those of DCV on Linux.
func DefaultPaths() Paths {
	return Paths{Command: "dcv", Config: "/etc/dcv", Hooks: "/etc/greenroom", State: "/var/lib/greenroom-agent", Address: dcvAddress}
}

// account is whose files DCV's certificate and key must be.
const account = "dcv"

// give makes the file DCV's, if we may and there is such an account.
func give(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(account)
	if err != nil {
		return nil //nolint:nilerr // DCV is not installed as a package, and runs as whoever runs us
	}
	uid, err := strconv.Atoi(u.Uid)
	gid, err2 := strconv.Atoi(u.Gid)
	return errors.Join(err, err2, os.Chown(path, uid, gid))
}

// configure writes dcv.conf and what it points to, and reports whether a running server must be restarted for it.
func configure(p Paths, settings []setting, files map[string]string) (restart bool, err error) {
	for name, text := range files {
		if err := replace(filepath.Join(p.Config, name), []byte(text), 0o644); err != nil {
			return false, err
		}
	}
	path := filepath.Join(p.Config, "dcv.conf")
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return false, err
	}
	text, changed := edit(string(old), settings)
	if len(changed) == 0 {
		return false, nil
	}
	for _, s := range changed {
		restart = restart || !s.live
	}
	return restart, replace(path, []byte(text), 0o600) // the verifier's address is a secret
}

func restartServer(ctx context.Context) error {
	_, err := call(ctx, "systemctl", "restart", "dcvserver")
	return err
}

// powerOff ends the machine.
func powerOff(ctx context.Context) error {
	_, err := call(ctx, "systemctl", "poweroff")
	if err == nil {
		return nil
	}
	_, err2 := call(ctx, "shutdown", "-h", "now")
	if err2 != nil {
		return errors.Join(err, err2)
	}
	return nil
}

// show puts text before the participant, by the first of these programs that is there.
func show(ctx context.Context, owner string, env []string, text string) error {
	for _, line := range [][]string{
		{"notify-send", "--urgency=critical", "--app-name=greenroom", "Your meeting", text},
		{"zenity", "--warning", "--no-wrap", "--timeout=60", "--title=Your meeting", "--text=" + text},
		{"xmessage", "-center", "-timeout", "60", text},
	} {
		path, err := exec.LookPath(line[0])
		if err != nil {
			continue
		}
		return as(ctx, owner, env, append([]string{path}, line[1:]...))
	}
	return errors.New("none of notify-send, zenity and xmessage is installed")
}

// as starts a program as the session's user, and does not wait for those that wait for the participant.
func as(ctx context.Context, owner string, env, line []string) error {
	if u, err := user.Lookup(owner); err == nil && os.Geteuid() == 0 && u.Uid != "0" {
		env = append(env, "HOME="+u.HomeDir, "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/"+u.Uid+"/bus")
		line = append([]string{"runuser", "-u", owner, "--"}, line...)
	}
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = env
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("show a notice: %w", err)
	}
	go cmd.Wait() //nolint:errcheck // it may have been closed
	return nil
}
