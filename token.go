package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/holdfast-io/holdfast/backend/logic/keys"
)

// newTokenCommand makes tokens with the key of a data folder. It creates folder
// and key when they are not there, so that it may run before the first start.
func newTokenCommand() *cobra.Command {
	var data, uid string
	var ttl time.Duration
	cmd := &cobra.Command{
		Use:     "token --uid UID",
		Short:   "Print a token for a user, made with the data folder's key",
		Example: "  holdfast token --data .holdfast --uid 1001 --ttl 24h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkTokenFlags(data, uid, ttl); err != nil {
				return err
			}
			folder, err := keys.OpenFolder(data, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
			if err != nil {
				return err
			}
			token, err := folder.Sign(uid, ttl)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&data, "data", ".holdfast", "the data folder, as given to dev or logic")
	cmd.Flags().StringVar(&uid, "uid", "", "the user: 1 to 64 bytes of UTF-8 without control characters")
	cmd.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long the token is valid, 1s to 87600h")
	return cmd
}

func checkTokenFlags(data, uid string, ttl time.Duration) error {
	if data == "" {
		return usagef("--data: empty")
	}
	if uid == "" {
		return usagef("--uid: give the user that the token is for")
	}
	if err := keys.CheckUID(uid); err != nil {
		return usagef("--uid: %v", err)
	}
	// A token counts in seconds. Ten years are as good as always.
	if ttl < time.Second || ttl > 87600*time.Hour {
		return usagef("--ttl: %v, want 1s to 87600h", ttl)
	}
	return nil
}
