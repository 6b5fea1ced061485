package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/agent/novncagent"
	"greenroom/internal/app/server"
	"greenroom/internal/config"
	"greenroom/internal/doctor"
	"greenroom/internal/version"
)

func (p *program) doctor() *cobra.Command {
	var s settings
	var account, noWrite bool
	var roles map[string]string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that this machine has what greenroom needs",
		Long:  "Looks at this machine, and at the zone and the certificates that the configuration names, for a minute at most. In a zone of a DNS provider it writes a record greenroom-doctor-… and removes it again.",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(p.getenv)
			if err != nil {
				return err
			}
			if p.server == "" && p.getenv("GREENROOM_SERVER") == "" {
				p.server = "http://" + cfg.Listen
			}
			c, err := p.client()
			if err != nil {
				return err
			}
			o := doctor.Options{
				DataDir: cfg.DataDir, Zone: cfg.Zone, Listen: cfg.Listen,
				Names:        server.Names(cfg, !noWrite),
				Front:        server.Front(cfg),
				Server:       c.Server,
				Stuck:        stuckFindings(c),
				Certificates: server.Certificates(cfg),
				Lasting:      server.Lasting(cfg),
			}
			o.Desktops, o.DNS = server.Listens(cfg)
			if cfg.Certificates.Issuer == config.IssuerLocal && cfg.Access != config.AccessSingle {
				o.Trusted = func(ctx context.Context) (bool, error) { return server.Trusted(ctx, cfg, p.getenv("HOME")) }
			}
			for _, b := range cfg.Blueprints {
				o.Applications = append(o.Applications, b.Applications...)
			}
			if account {
				for f := range roles {
					if !slices.Contains(doctor.Functions(), f) {
						return usagef("--roles: there is no function %s; the functions are %s", f, strings.Join(doctor.Functions(), ", "))
					}
				}
				findings, err := server.CheckAWS(cmd.Context(), cfg, roles, desktopsAtOnce(c))
				if err != nil {
					return err
				}
				return p.printFindings(findings)
			}
			return p.printFindings(doctor.Check(cmd.Context(), o))
		},
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&account, "aws", false, "look at the AWS account instead: credentials, permissions, image, quotas, network; without servers also table, queue, schedules and roles")
	cmd.Flags().StringToStringVar(&roles, "roles", nil, "with --aws: look at these roles of functions, such as wake=arn:…; the output Roles of deploy/aws names them")
	cmd.Flags().BoolVar(&noWrite, "no-write", false, "write no test record")
	return cmd
}

func (p *program) printFindings(findings []doctor.Finding) error {
	failed := 0
	err := p.print(findings, func(w io.Writer) {
		for _, f := range findings {
			mark := "ok"
			switch {
			case f.Failed():
				mark = "FAIL"
			case !f.OK:
				mark = "note"
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", mark, f.Check, clean(f.Detail))
			if f.Fix != "" {
				fmt.Fprintf(w, "\t\tdo: %s\n", f.Fix)
			}
		}
	})
	for _, f := range findings {
		if f.Failed() {
			failed++
		}
	}
	if failed > 0 && err == nil {
		err = fmt.Errorf("%d of %d checks failed", failed, len(findings))
	}
	return err
}

func (p *program) trust() *cobra.Command {
	var s settings
	var remove bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine's browsers trust the local authority",
		Long:  "Installs the certificate of the local authority in the system's store and in those of browsers. Its key never leaves the data directory.",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(p.getenv)
			if err != nil {
				return err
			}
			return server.Trust(cmd.Context(), cfg, p.getenv("HOME"), remove, p.stdout)
		},
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&remove, "remove", false, "take it out again")
	return cmd
}

func (p *program) token() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make an API token for an organiser",
		Long: "Prints a fresh API token. With --file its hash is added to the server's token file (api_token_file); the token itself is\n" +
			"stored nowhere. Clients send it as \"Authorization: Bearer TOKEN\"; this program takes it from GREENROOM_TOKEN or --token-file.",
		Args: none,
		RunE: func(*cobra.Command, []string) error {
			token := greenroom.NewSecret()
			line := config.TokenLine(token)
			if file == "" {
				fmt.Fprintf(p.stderr, "Add this line to the server's token file (api_token_file):\n%s\nThe token, which is not shown again:\n", line)
			} else if err := appendLine(file, line); err != nil {
				return fmt.Errorf("add to the token file: %w", err)
			}
			_, err := fmt.Fprintln(p.stdout, token)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "token file to add the token's hash to")
	return cmd
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, line+"\n")
	return errors.Join(err, f.Close())
}

// listenerFD is where the agent's parent has put its listener.
const listenerFD = 3

func (p *program) agent() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "agent --dir DIR",
		Short: "Run one desktop (started by the server)",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return usagef("give the desktop's directory: greenroom agent --dir DIR")
			}
			f := os.NewFile(listenerFD, "listener")
			if f == nil {
				return usagef("the agent is started by the server, which gives it a listener as file descriptor %d", listenerFD)
			}
			// The desktop ends when its server or its kill time says so, and not with a terminal. Taken and not ignored: its programs would
			// inherit that.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
			_ = os.WriteFile("/proc/self/comm", []byte("greenroom"), 0) // for ps alone: it was started as "exe"
			listener, err := net.FileListener(f)
			if err != nil {
				return usagef("the agent is started by the server, which gives it a listener as file descriptor %d: %v", listenerFD, err)
			}
			if err := f.Close(); err != nil {
				return fmt.Errorf("close the given listener: %w", err)
			}
			return novncagent.Run(cmd.Context(), novncagent.Config{
				Dir: dir, Listener: listener, Environ: os.Environ(), Version: version.Get().String(),
				Logger: slog.New(slog.NewTextHandler(p.stderr, nil)),
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the desktop's own directory")
	return cmd
}

func (p *program) version() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version of this program", Args: none, RunE: func(*cobra.Command, []string) error {
		v := version.Get()
		return p.print(v, func(w io.Writer) {
			built := ""
			if t, err := time.Parse(time.RFC3339, v.Time); err == nil {
				built = ", " + t.Format(time.DateOnly)
			}
			fmt.Fprintln(w, strings.Join([]string{"greenroom", v.String() + built + ",", v.Go}, " "))
		})
	}}
}
