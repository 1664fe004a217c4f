// Holdfast is an edge connection gateway with a pluggable backend, in one
// binary: every role is a subcommand.
//
// Package main is the only place that knows all components. They meet here
// through the interfaces that their consumers declare: a file for each role
// (gateway.go, logic.go, echo.go, dev.go), one for each tool, and the parts that
// roles share (process.go, admin.go, signals.go, logging.go).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes. A process that a second signal ended has 128 + the signal's number.
const (
	exitFailure = 1 // what was asked for could not be done
	exitUsage   = 2 // the command line cannot be understood
)

func main() {
	ctx, stop := withSignals(context.Background(), os.Stderr, os.Exit)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if sig, ok := stoppedBy(ctx); ok && errors.Is(err, context.Canceled) {
		return exitCode(sig) // a tool that was told to stop; nothing went wrong
	}
	fmt.Fprintf(errs, "holdfast: %v\n", err)
	if isUsage(err) {
		return exitUsage
	}
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "holdfast",
		Short:         "An edge connection gateway with a pluggable backend",
		SilenceUsage:  true, // an error is one line; help is a command
		SilenceErrors: true, // run prints it
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q; `holdfast help` lists them", args[0])
			}
			return cmd.Help()
		},
		Args: cobra.ArbitraryArgs,
	}
	root.AddCommand(commands()...)
	root.CompletionOptions.HiddenDefaultCmd = true
	strict(root)
	return root
}

// strict makes every mistake on a command line a usage error.
func strict(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%v; `%s --help` lists the flags", err, cmd.CommandPath())
	})
	if args := cmd.Args; args != nil || !cmd.HasSubCommands() {
		if args == nil {
			args = cobra.NoArgs
		}
		cmd.Args = func(cmd *cobra.Command, given []string) error {
			if err := args(cmd, given); err != nil {
				return usagef("%s: %v", cmd.CommandPath(), err)
			}
			return nil
		}
	}
	for _, sub := range cmd.Commands() {
		strict(sub)
	}
}

// group returns a command that only holds others.
func group(use, short string, subs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("%s: unknown command %q", cmd.CommandPath(), args[0])
			}
			return cmd.Help()
		},
	}
	cmd.AddCommand(subs...)
	return cmd
}

// usageError is a mistake in the command line, as opposed to one in the world.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef returns an error that makes the process exit with 2.
func usagef(format string, a ...any) error {
	return usageError{fmt.Errorf(format, a...)}
}

// isUsage tells whether err is about the command line. Cobra has no type for
// its two errors on flags that belong together, so those are known by their text.
func isUsage(err error) bool {
	var ue usageError
	return errors.As(err, &ue) || strings.HasPrefix(err.Error(), "required flag(s)") ||
		strings.HasPrefix(err.Error(), "if any flags in the group")
}
