package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// repeatCommand is the command line that repeats a run: its flags as given,
// with the seed that was drawn and without the place of its output.
func repeatCommand(cmd *cobra.Command, seed uint64) string {
	parts := []string{"hoplab", cmd.Name()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "out", "seed", "format":
			return
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		if f.Value.Type() == "stringSlice" {
			values = []string{strings.Join(values, ",")}
		}
		for _, v := range values {
			if f.Value.Type() == "bool" && v == "true" {
				parts = append(parts, "--"+f.Name)
				continue
			}
			parts = append(parts, "--"+f.Name, quote(v))
		}
	})
	return strings.Join(append(parts, "--seed", fmt.Sprint(seed)), " ")
}

// quote makes a word safe for a shell.
func quote(v string) string {
	if v != "" && strings.Trim(v, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%") == "" {
		return v
	}
	return "'" + strings.ReplaceAll(v, "'", `'\''`) + "'"
}
