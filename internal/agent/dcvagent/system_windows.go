package dcvagent

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/windows/registry"
)

// DefaultPaths are those of DCV on Windows.
func DefaultPaths() Paths {
	return Paths{Command: `C:\Program Files\NICE\DCV\Server\bin\dcv.exe`, Config: `C:\Windows\System32\config\systemprofile\AppData\Local\NICE\dcv`,
		Hooks: `C:\ProgramData\greenroom`, State: `C:\ProgramData\greenroom\agent`, Address: dcvAddress}
}

// give does nothing: DCV runs as the system, as the agent does, and inherits the directory's rights.
func give(string) error { return nil }

// configure writes the registry and the files it points to, and reports whether a running server must be restarted for it.
func configure(p Paths, settings []setting, files map[string]string) (restart bool, err error) {
	for name, text := range files {
		if err := replace(filepath.Join(p.Config, name), []byte(text), 0o644); err != nil {
			return false, err
		}
	}
	for _, v := range registryValues(settings) {
		changed, err := put(v)
		if err != nil {
			return restart, fmt.Errorf("write %s\\%s: %w", v.path, v.name, err)
		}
		restart = restart || changed && !v.live
	}
	return restart, nil
}

// put writes one value, unless it is there already.
func put(v registryValue) (changed bool, err error) {
	key, _, err := registry.CreateKey(registry.USERS, v.path, registry.QUERY_VALUE|registry.SET_VALUE)
	if err != nil {
		return false, err
	}
	defer key.Close()
	if v.text != nil {
		if old, _, err := key.GetStringValue(v.name); err == nil && old == *v.text {
			return false, nil
		}
		return true, key.SetStringValue(v.name, *v.text)
	}
	if old, _, err := key.GetIntegerValue(v.name); err == nil && old == uint64(v.number) {
		return false, nil
	}
	return true, key.SetDWordValue(v.name, v.number)
}

func restartServer(ctx context.Context) error {
	_, err := call(ctx, "powershell.exe", "-NoProfile", "-NonInteractive", "-Command", "Restart-Service -Name dcvserver -Force")
	return err
}

// powerOff ends the machine.
func powerOff(ctx context.Context) error {
	_, err := call(ctx, "shutdown.exe", "/s", "/f", "/t", "0")
	return err
}

// show puts text before whoever is signed in.
func show(ctx context.Context, _ string, env []string, text string) error {
	cmd := exec.CommandContext(ctx, "msg.exe", "*", "/TIME:60", text)
	cmd.Env = env
	if err := cmd.Run(); err != nil {
		return errors.Join(errors.New("msg.exe cannot show the notice"), err)
	}
	return nil
}

// clients cannot tell: connections are asked for by DCV's command line instead.
func clients(string) (string, bool) { return "", false }
