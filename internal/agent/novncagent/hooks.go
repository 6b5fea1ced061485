package novncagent

import (
	"os/exec"
	"path/filepath"

	"greenroom/internal/agent/hooks"
)

// newTurns are the desktop's hooks: the blueprint's, started as its applications are, with the meeting beside.
func newTurns(d *desktop) *hooks.Turns {
	return &hooks.Turns{
		Dir: d.data.Hooks, File: filepath.Join(d.dir, "meeting.json"), WD: filepath.Join(d.dir, "home"),
		Env:     func() []string { return d.screen.environ },
		Start:   d.family.startHook,
		Control: d.control, Identity: d.key, Report: d.report, Notice: d.notice, Logger: d.cfg.Logger,
	}
}

// startHook starts a hook as one of the family, whose reaper would else take its end for a stranger's.
func (f *family) startHook(cmd *exec.Cmd) (func() error, error) {
	c, err := f.start(cmd.Path, cmd)
	if err != nil {
		return nil, err
	}
	return func() error {
		<-c.done
		return c.err
	}, nil
}
