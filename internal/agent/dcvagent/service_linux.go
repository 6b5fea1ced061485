package dcvagent

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// unitFile is the agent's systemd unit.
const unitFile = "/etc/systemd/system/greenroom-agent.service"

// unit is that for the program at path. What hooks leave running survives the agent, and 32 MiB are twice what it needs.
func unit(path string) string {
	return fmt.Sprintf(`[Unit]
Description=greenroom's agent: certificate, hooks and reports of this meeting's desktop
Wants=network-online.target
After=network-online.target dcvserver.service
StartLimitIntervalSec=0

[Service]
ExecStart=%s run
Restart=always
RestartSec=5
KillMode=process
Environment=GOMEMLIMIT=16MiB

[Install]
WantedBy=multi-user.target
`, path)
}

// Install makes the program at path start with the machine. It is started at the next boot: an image that is being made is no
// desktop yet.
func Install(ctx context.Context, path string) error {
	if err := os.WriteFile(unitFile, []byte(unit(path)), 0o644); err != nil {
		return fmt.Errorf("write the unit: %w", err)
	}
	_, err := call(ctx, "systemctl", "daemon-reload")
	_, err2 := call(ctx, "systemctl", "enable", "greenroom-agent.service")
	return errors.Join(err, err2)
}

// Uninstall undoes Install.
func Uninstall(ctx context.Context) error {
	_, err := call(ctx, "systemctl", "disable", "--now", "greenroom-agent.service")
	return errors.Join(err, os.Remove(unitFile))
}

// Serve runs the agent under whatever started it.
func Serve(ctx context.Context, run func(context.Context) error) error { return run(ctx) }
