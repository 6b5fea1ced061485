package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"greenroom"
	"greenroom/internal/httpapi/client"
	"greenroom/internal/httpx"
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

// program is what every command works with.
type program struct {
	getenv func(string) string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	server    string // --server
	tokenFile string // --token-file
	output    string // --output
}

// run is the program without its process: it returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(stderr, "greenroom: "+explain(err))
	if _, wrong := errors.AsType[*usageError](err); wrong {
		fmt.Fprintf(stderr, "Try: %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFail
}

// usageError says that the command line is wrong.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// explain is the sentence for people.
func explain(err error) string {
	if e, ok := errors.AsType[*client.UnreachableError](err); ok {
		return fmt.Sprintf("%v. Start a server with \"greenroom serve\", or name another with --server or GREENROOM_SERVER.", e)
	}
	if p, ok := errors.AsType[*httpx.Problem](err); ok {
		if len(p.Errors) > 1 {
			lines := make([]string, len(p.Errors))
			for i, f := range p.Errors {
				lines[i] = f.Field + ": " + f.Message
			}
			return "the server refused this:\n  " + strings.Join(lines, "\n  ")
		}
		return p.Detail
	}
	if bad, ok := errors.AsType[*greenroom.InvalidError](err); ok && len(bad.Fields) > 1 {
		lines := make([]string, len(bad.Fields))
		for i, f := range bad.Fields {
			lines[i] = f.Error()
		}
		return "the configuration has faults:\n  " + strings.Join(lines, "\n  ")
	} else if ok {
		return bad.Fields[0].Error()
	}
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	return greenroom.Sentence(err, err.Error())
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "greenroom",
		Short: "Meetings in which every participant has a desktop of their own",
		Long: "greenroom gives every participant of a scheduled meeting a desktop of their own: started just before the\n" +
			"meeting, proved reachable before anyone is sent to it, and gone afterwards.\n\n" +
			"Start with: greenroom serve",
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err.Error()} })
	flags := root.PersistentFlags()
	flags.StringVar(&p.server, "server", "", "address of the server (GREENROOM_SERVER; default http://127.0.0.1:8080)")
	flags.StringVar(&p.tokenFile, "token-file", "", "file with an API token (or set GREENROOM_TOKEN)")
	flags.StringVarP(&p.output, "output", "o", "table", "table for people, or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error {
		if p.output != "table" && p.output != "json" {
			return usagef("--output is table or json, and not %q", p.output)
		}
		return nil
	}
	root.AddGroup(&cobra.Group{ID: "organiser", Title: "Meetings:"}, &cobra.Group{ID: "server", Title: "This machine:"})
	root.AddCommand(grouped("organiser", p.schedule(), p.list(), p.show(), p.edit(), p.extend(), p.seat(), p.watch(), p.plan(), p.park(), p.resume(), p.end(), p.cancel())...)
	root.AddCommand(grouped("server", p.serve(), p.doctor(), p.backup(), p.restore(), p.trust(), p.token(), p.agent(), p.version())...)
	return root
}

func grouped(id string, cmds ...*cobra.Command) []*cobra.Command {
	for _, c := range cmds {
		c.GroupID = id
	}
	return cmds
}

// noCommand refuses what is no command and says which one may have been meant.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return usagef("there is no command %q; did you mean %s?", args[0], strings.Join(s, " or "))
	}
	return usagef("there is no command %q", args[0])
}

// none takes no arguments.
func none(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("this command takes no arguments, and was given %q", args[0])
	}
	return nil
}

// oneID takes the id of a meeting.
func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("give one meeting: greenroom %s ID", cmd.Name())
	}
	return nil
}
