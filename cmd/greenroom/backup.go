package main

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/app/server"
	"greenroom/internal/version"
)

func (p *program) backup() *cobra.Command {
	var s settings
	var force bool
	cmd := &cobra.Command{
		Use:   "backup FILE",
		Short: "Save the database and the local authority to a file, also while the server runs",
		Long: "Writes one tar file with the database, the local authority and a manifest. The server may be running and is not\n" +
			"disturbed. The file is checked from end to end before it gets its name, and is for its owner alone: it holds the\n" +
			"links of all meetings and the key of the authority. \"greenroom restore\" reads it.",
		Example: "  greenroom backup /var/backups/greenroom-$(date +%F).tar",
		Args:    oneFile,
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "replace a file that is there")
	database := databaseFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := onlySQLite(cmp.Or(*database, p.getenv("GREENROOM_DATABASE")), pgDump); err != nil {
			return err
		}
		cfg, err := s.load(p.getenv)
		if err != nil {
			return err
		}
		if err := onlySQLite(string(cfg.Database), pgDump); err != nil {
			return err
		}
		began := time.Now()
		r, err := server.Backup(cmd.Context(), cfg, version.Get().String(), args[0], force)
		if err != nil {
			return err
		}
		return p.print(r, func(w io.Writer) {
			fmt.Fprintf(w, "backup\t%s\n", r.File)
			fmt.Fprintf(w, "meetings\t%d, of them %d not over, with %d timeline entries\n", r.Holds.Meetings, r.Holds.Open, r.Holds.Events)
			if len(r.Files) > 1 {
				fmt.Fprintln(w, "also\tthe local authority and its key")
			}
			fmt.Fprintf(w, "size\t%s\n", bytesText(r.Size))
			fmt.Fprintf(w, "took\t%s\n", time.Since(began).Round(time.Millisecond))
		})
	}
	return cmd
}

func (p *program) restore() *cobra.Command {
	var s settings
	var force bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup into the data directory",
		Long: "Stop the server first. A database with meetings is replaced only with --force, and is moved aside, never deleted.\n" +
			"Everything is checked before anything is changed. After the start, machines that the backup does not know are removed\n" +
			"within two minutes, and meetings whose machines are gone get new ones while they last.",
		Args: oneFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := onlySQLite(p.getenv("GREENROOM_DATABASE"), pgRestore); err != nil {
				return err
			}
			cfg, err := s.load(p.getenv)
			if err != nil {
				return err
			}
			if err := onlySQLite(string(cfg.Database), pgRestore); err != nil {
				return err
			}
			r, err := server.Restore(cmd.Context(), cfg, args[0], force)
			if err != nil {
				return err
			}
			return p.print(r, func(w io.Writer) {
				fmt.Fprintf(w, "restored\t%s\n", r.DataDir)
				fmt.Fprintf(w, "meetings\t%d, of them %d not over, with %d timeline entries\n", r.Holds.Meetings, r.Holds.Open, r.Holds.Events)
				fmt.Fprintf(w, "made\t%s, by version %s\n", r.MadeAt.Local().Format("Mon 2 Jan 2006 15:04:05 MST"), clean(r.Version))
				if r.Aside != "" {
					fmt.Fprintf(w, "before\tmoved to %s\n", r.Aside)
				}
			})
		},
	}
	s.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "move a database with meetings aside")
	return cmd
}

// oneFile takes the name of a file.
func oneFile(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usagef("give one file: greenroom %s FILE", cmd.Name())
	}
	return nil
}

// databaseFlag is --database of a command, added if the settings do not bring it.
func databaseFlag(cmd *cobra.Command) *string {
	value := new(string)
	if f := cmd.Flags().Lookup("database"); f == nil {
		cmd.Flags().StringVar(value, "database", "", "postgres://… is not backed up; prints the pg_dump command")
	}
	return value
}

// onlySQLite sends those who keep their meetings in PostgreSQL to its own tools.
func onlySQLite(database, command string) error {
	if database == "" {
		return nil
	}
	return &greenroom.UserError{Message: "This command is for SQLite in the data directory; PostgreSQL has its own: " + command +
		" (keep ca.key and ca.pem of the data directory beside the dump)"}
}

// PostgreSQL's own commands for what these do.
const (
	pgDump    = `pg_dump --format=custom --file=greenroom.dump "$GREENROOM_DATABASE"`
	pgRestore = `pg_restore --clean --if-exists --dbname="$GREENROOM_DATABASE" greenroom.dump`
)

// bytesText is a size as people read it.
func bytesText(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
