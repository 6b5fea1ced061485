// Command greenroom-agent looks after one meeting's desktop on a machine with Amazon DCV. See docs/desktops-dcv.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"greenroom/internal/agent/dcvagent"
	"greenroom/internal/version"
)

const usage = `greenroom-agent looks after one meeting's desktop on a machine with Amazon DCV.

  greenroom-agent run [flags]   run until the machine goes (this is the default)
  greenroom-agent install       start it with the machine: a systemd unit, a Windows service
  greenroom-agent uninstall     undo that
  greenroom-agent version       tell the version

Flags of run:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: 0 on success, 1 on failure, 2 on wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := "run"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		command, args = args[0], args[1:]
	}
	cfg, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	switch command {
	case "run":
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // whoever reads the log may go away
		limitMemory()
		err = dcvagent.Serve(ctx, func(ctx context.Context) error { return dcvagent.Run(ctx, cfg) })
	case "install":
		var path string
		if path, err = os.Executable(); err == nil {
			err = dcvagent.Install(ctx, path)
		}
	case "uninstall":
		err = dcvagent.Uninstall(ctx)
	case "version":
		fmt.Fprintln(stdout, "greenroom-agent", version.Get())
	default:
		fmt.Fprintf(stderr, "greenroom-agent: there is no command %q; greenroom-agent -h lists them\n", command)
		return 2
	}
	if err != nil {
		fmt.Fprintln(stderr, "greenroom-agent:", err)
		return 1
	}
	return 0
}

// limitMemory keeps the heap small: it is a guest on the participant's machine.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(16 << 20)
	}
	debug.SetGCPercent(50)
}

func parse(args []string, stderr io.Writer) (dcvagent.Config, error) {
	cfg := dcvagent.Config{Paths: dcvagent.DefaultPaths(), Environ: os.Environ(), Version: version.Get().String(),
		Logger: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("greenroom-agent", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&cfg.UserData, "user-data", "", "`file` with the user data; empty: the instance's metadata")
	flags.StringVar(&cfg.Metadata, "metadata", "http://169.254.169.254", "`address` of the instance's metadata service")
	flags.BoolVar(&cfg.QUIC, "quic", false, "let DCV answer over QUIC (UDP), too")
	flags.StringVar(&cfg.Paths.Command, "dcv", cfg.Paths.Command, "DCV's command line")
	flags.StringVar(&cfg.Paths.Config, "dcv-dir", cfg.Paths.Config, "`directory` of DCV's certificate and configuration")
	flags.StringVar(&cfg.Paths.Hooks, "hooks", cfg.Paths.Hooks, "`directory` with warmup.d and end.d, unless the blueprint names one")
	flags.StringVar(&cfg.Paths.State, "state", cfg.Paths.State, "the agent's own `directory`")
	flags.StringVar(&cfg.Paths.Address, "dcv-address", cfg.Paths.Address, "where DCV serves, as seen from the machine")
	if err := flags.Parse(args); err != nil {
		return cfg, err
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "greenroom-agent: %q is one argument too many\n", flags.Arg(0))
		return cfg, errors.New("usage")
	}
	return cfg, nil
}
