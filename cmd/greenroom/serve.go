package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"greenroom/internal/app/server"
	"greenroom/internal/config"
	"greenroom/internal/logsink"
	"greenroom/internal/version"
)

// settings are the flags of commands that read the configuration.
type settings struct {
	file  string
	flags map[string]*string // by key
}

// add gives cmd the flags for the file and for the common keys.
func (s *settings) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.file, "config", "", "configuration file, YAML")
	s.flags = map[string]*string{}
	for _, flag := range []struct{ key, name, about string }{
		{"data_dir", "data-dir", "where everything is kept"},
		{"database", "database", "postgres://… that several servers may share; empty is SQLite (GREENROOM_DATABASE keeps a password out of the list of processes)"},
		{"listen", "listen", "address of the pages and the API"},
		{"desktop_listen", "desktop-listen", "address under which browsers reach desktops"},
		{"dns_listen", "dns-listen", "address of the zone's DNS server"},
		{"log_level", "log-level", "debug, info, warn or error"},
	} {
		s.flags[flag.key] = f.String(flag.name, "", flag.about)
	}
}

func (s *settings) load(getenv func(string) string) (config.Config, error) {
	given := map[string]string{}
	for key, value := range s.flags {
		if *value != "" {
			given[key] = *value
		}
	}
	return config.Load(s.file, getenv, given)
}

func (p *program) serve() *cobra.Command {
	var s settings
	var gallery bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: pages, API, desktops, names",
		Long:  "Runs everything. Without any configuration it is the whole product on loopback; docs/config.md lists the settings.",
		Args:  none,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.load(p.getenv)
			if err != nil {
				return err
			}
			// Whoever reads the output may go away: that costs lines of the log, not the server. The signal is taken and not
			// ignored, because programs on desktops would inherit that.
			signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
			// From here on a hangup ends nothing, not even while the server starts or stops.
			hangups := make(chan os.Signal, 1)
			signal.Notify(hangups, syscall.SIGHUP)
			sink := logsink.New(p.stderr)
			defer sink.Close()
			log := slog.New(slog.NewTextHandler(sink, &slog.HandlerOptions{Level: cfg.Level()}))
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			return server.Run(cmd.Context(), server.Options{
				Config: cfg, Logger: log, LostLines: sink.Lost, Executable: selfExe, Program: self, Hangups: hangups,
				Environ: os.Environ(), Version: version.Get().String(), Gallery: gallery,
				Ready: func(public string) { fmt.Fprintf(p.stdout, "greenroom is ready: %s\n", public) },
			})
		},
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&gallery, "gallery", false, "also serve /gallery, for people who work on the pages")
	return cmd
}
