package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/gateway/client"
)

// chatTokenBytesMax bounds what is read of a token from a file or from standard
// input. A gateway takes 8 KiB; a little more lets the client say so itself.
const chatTokenBytesMax = 16 << 10

// chatFlags are the flags of `holdfast chat`.
type chatFlags struct {
	endpoints []string
	ca        string
	insecure  bool
	token     string
	to        string
	send      string
	receive   int
	pull      bool
	after     int64
	timeout   time.Duration

	sends, receives bool // --send, --receive were given
}

// newChatCommand is a small client of the reference backend's messages: one
// message at a time for scripts, or line by line for people.
func newChatCommand() *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat --token TOKEN [--to UID]",
		Short: "Send and receive messages, line by line or from a script",
		Long: `Without --send, --receive and --pull, each line of standard input is sent to --to, and what comes is
printed; /quit or the end of the input leaves.

With them it does what they say, in the order pull, send, receive, prints JSON, one object a line, and exits: 0 when
all of it was done within --timeout, else 1.`,
		Example: `  holdfast chat --token "$TOKEN" --to 1002
  holdfast chat --token @token.txt --to 1002 --send 'hello'
  holdfast chat --token - --receive 3 --timeout 1m <token.txt
  holdfast chat --token "$TOKEN" --pull
  holdfast chat --token "$TOKEN" --endpoint autos://gw.example.com:443 --ca ca.pem --pull`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.sends, f.receives = cmd.Flags().Changed("send"), cmd.Flags().Changed("receive")
			return runChat(cmd.Context(), f, chatStreams{
				in: bufio.NewReader(cmd.InOrStdin()), out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(),
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&f.endpoints, "endpoint", []string{"127.0.0.1:7000"},
		"where a gateway is reached: host:port, or tcp, tls, ws, wss, poll, polls://host:port, or auto, autos://host:port for whichever gets through; may be repeated")
	flags.StringVar(&f.ca, "ca", "", "a file of certificates (PEM) to trust instead of the system's")
	flags.BoolVar(&f.insecure, "insecure", false, "trust any certificate; whoever stands between can read and change everything, the token too")
	flags.StringVar(&f.token, "token", "", "the token; @FILE reads it from a file, - from the first line of standard input")
	flags.StringVar(&f.to, "to", "", "the user to send to")
	flags.StringVar(&f.send, "send", "", "send this text and print the reply")
	flags.IntVar(&f.receive, "receive", 0, "print this many messages as they come")
	flags.BoolVar(&f.pull, "pull", false, "print the messages that are stored for the token's user")
	flags.Int64Var(&f.after, "after", 0, "the position after which --pull begins")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long --send, --receive and --pull together, or one line, may take")
	return cmd
}

// batch tells that there is something to do and then to exit.
func (f chatFlags) batch() bool { return f.sends || f.receives || f.pull }

// check finds mistakes in the command line.
func (f chatFlags) check() error {
	switch {
	case f.token == "":
		return usagef("--token: give the token of the user to be; `holdfast token` makes one")
	case f.ca != "" && f.insecure:
		return usagef("--ca: has no effect beside --insecure")
	case f.to == "" && (f.sends || !f.batch()):
		return usagef("--to: give the user to send to")
	case f.receives && f.receive < 1:
		return usagef("--receive: %d, want at least 1", f.receive)
	case f.after < 0:
		return usagef("--after: %d, want at least 0", f.after)
	case f.after > 0 && f.batch() && !f.pull:
		return usagef("--after: goes with --pull")
	case f.timeout <= 0:
		return usagef("--timeout: %v, want more than 0", f.timeout)
	}
	if err := (client.Config{Endpoints: f.endpoints}).Validate(); err != nil {
		return usagef("--endpoint: %s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// chatStreams are the standard streams. in is shared by the token and the lines.
type chatStreams struct {
	in   *bufio.Reader
	out  io.Writer
	errs io.Writer
}

// runChat is the command without cobra.
func runChat(ctx context.Context, f chatFlags, streams chatStreams) error {
	if err := f.check(); err != nil {
		return err
	}
	trust, err := chatTrust(f)
	if err != nil {
		return err
	}
	token, err := chatToken(f.token, streams.in)
	if err != nil {
		return err
	}
	cfg := client.Config{Endpoints: f.endpoints, TLS: trust, Token: token, RequestTimeout: f.timeout}
	if f.batch() {
		return chatBatch(ctx, f, cfg, streams.out)
	}
	return chatByLine(ctx, f, cfg, streams)
}

// chatTrust is whose certificates are good enough.
func chatTrust(f chatFlags) (*tls.Config, error) {
	cfg := &tls.Config{InsecureSkipVerify: f.insecure}
	if f.ca == "" {
		return cfg, nil
	}
	pem, err := os.ReadFile(f.ca)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	cfg.RootCAs = x509.NewCertPool()
	if !cfg.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s has no certificate", f.ca)
	}
	return cfg, nil
}

// chatToken resolves "-" and "@FILE".
func chatToken(from string, in *bufio.Reader) (string, error) {
	var read io.Reader
	switch name, isFile := strings.CutPrefix(from, "@"); {
	case from == "-":
		read = in
	case isFile:
		file, err := os.Open(name)
		if err != nil {
			return "", fmt.Errorf("token: %w", err)
		}
		defer file.Close()
		read = file
	default:
		return from, nil
	}
	line, err := readLine(read)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("token: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", fmt.Errorf("token: %s has none in its first line", strings.TrimPrefix(from, "@"))
	}
	return line, nil
}

// readLine reads byte by byte, so that it takes nothing behind the line.
func readLine(r io.Reader) (string, error) {
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := io.ReadFull(r, b); err != nil {
			return string(line), err
		}
		if b[0] == '\n' {
			return string(line), nil
		}
		if line = append(line, b[0]); len(line) > chatTokenBytesMax {
			return "", fmt.Errorf("first line longer than %d bytes", chatTokenBytesMax)
		}
	}
}
