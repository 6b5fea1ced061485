package localcompute

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"greenroom/internal/agent/agentapi"
	"greenroom/internal/compute"
)

// Files of one desktop, in its directory.
const (
	recordFile   = "instance.json"
	userDataFile = "user-data.json"
	agentLog     = "agent.log"
	displayFile  = "display" // its X server's number, written by the agent
)

// Names of directories that are half made or half removed. Nothing runs in them.
const (
	halfMade    = ".new-"
	halfRemoved = ".old-"
)

// record is what must survive of an instance. It is written before the effect it tells of.
type record struct {
	Token      string    `json:"token"`
	Address    string    `json:"address"`
	KillAt     time.Time `json:"kill_at"`
	LaunchedAt time.Time `json:"launched_at"`
	LaunchBy   time.Time `json:"launch_by,omitzero"` // its agent is not started after that; zero is no bound
	PID        int       `json:"pid,omitempty"`      // of the agent; 0 until it was started
	Start      uint64    `json:"start,omitempty"`    // its start time, which makes the pid unmistakable
	Removing   bool      `json:"removing,omitempty"`
}

// create makes the instance's directory whole or not at all.
func (h *host) create(i *instance, r compute.Request) error {
	data, err := h.userData(r.UserData, i.id)
	if err != nil {
		return err
	}
	h.mu.Lock()
	rec := i.record // somebody may be condemning it already; what start notes next tells of that
	h.mu.Unlock()
	half := filepath.Join(h.opts.Dir, halfMade+i.id)
	err = errors.Join(os.RemoveAll(half), os.Mkdir(half, 0o700))
	if err == nil {
		err = errors.Join(writeJSON(filepath.Join(half, recordFile), rec), writeFile(filepath.Join(half, userDataFile), data))
	}
	if err == nil {
		err = os.Rename(half, i.dir)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("make the desktop's directory: %w", err), os.RemoveAll(half))
	}
	return nil
}

// userData adds what only the provider knows. The control plane's address is the host's own, whoever asked for
// the desktop: while it lives that one is good, and the next host tells another.
func (h *host) userData(text []byte, id string) ([]byte, error) {
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		return nil, fmt.Errorf("read user data: %w", err)
	}
	data.InstanceID = id
	if h.opts.ControlURL != "" {
		data.ControlURL = h.opts.ControlURL
	}
	return json.Marshal(data)
}

// redirect tells a desktop where the control plane answers now.
func (h *host) redirect(i *instance) error {
	path := filepath.Join(i.dir, userDataFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var data agentapi.UserData
	if err := json.Unmarshal(text, &data); err != nil {
		return err
	}
	if h.opts.ControlURL == "" || data.ControlURL == h.opts.ControlURL {
		return nil
	}
	data.ControlURL = h.opts.ControlURL
	return writeJSON(path, data)
}

func readRecord(dir string) (record, error) {
	text, err := os.ReadFile(filepath.Join(dir, recordFile))
	if err != nil {
		return record{}, err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return record{}, fmt.Errorf("read %s: %w", recordFile, err)
	}
	return r, nil
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeFile(path, text)
}

// writeFile replaces a file at once, so that a reader, or a crash, never meets half of it.
func writeFile(path string, text []byte) error {
	if err := os.WriteFile(path+".tmp", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// half reports whether a directory of that name was being made or removed when a process ended.
func half(name string) bool {
	return strings.HasPrefix(name, halfMade) || strings.HasPrefix(name, halfRemoved)
}
