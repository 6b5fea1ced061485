package dcvagent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

const serviceName = "greenroom-agent"

// Install makes the program at path a service that starts with the machine.
func Install(_ context.Context, path string) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service manager: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.CreateService(serviceName, path, mgr.Config{StartType: mgr.StartAutomatic, DisplayName: "greenroom agent",
		Description: "Certificate, hooks and reports of this meeting's desktop."}, "run")
	if err != nil {
		return fmt.Errorf("make the service: %w", err)
	}
	defer s.Close()
	again := mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: 5 * time.Second}
	return s.SetRecoveryActions([]mgr.RecoveryAction{again, again, again}, 60)
}

// Uninstall undoes Install.
func Uninstall(context.Context) error {
	m, err := mgr.Connect()
	if err != nil {
		return fmt.Errorf("reach the service manager: %w", err)
	}
	defer m.Disconnect() //nolint:errcheck // nothing depends on it
	s, err := m.OpenService(serviceName)
	if err != nil {
		return fmt.Errorf("find the service: %w", err)
	}
	defer s.Close()
	_, _ = s.Control(svc.Stop) // it may not be running
	return s.Delete()
}

// Serve runs the agent under whatever started it: the service manager, or a person.
func Serve(ctx context.Context, run func(context.Context) error) error {
	inside, err := svc.IsWindowsService()
	if err != nil || !inside {
		return errors.Join(err, run(ctx))
	}
	s := &service{ctx: ctx, run: run}
	return errors.Join(svc.Run(serviceName, s), s.err)
}

type service struct {
	ctx context.Context
	run func(context.Context) error
	err error
}

// Execute implements svc.Handler.
func (s *service) Execute(_ []string, requests <-chan svc.ChangeRequest, status chan<- svc.Status) (bool, uint32) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	status <- svc.Status{State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown}
	for {
		select {
		case s.err = <-ended:
			if s.err != nil {
				return true, 1 // the service manager starts it again
			}
			return false, 0
		case r := <-requests:
			switch r.Cmd {
			case svc.Interrogate:
				status <- r.CurrentStatus
			case svc.Stop, svc.Shutdown:
				status <- svc.Status{State: svc.StopPending}
				cancel()
			}
		}
	}
}
