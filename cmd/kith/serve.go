package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"
)

const serveUsage = `usage: kith serve --config FILE [--check]

Runs a hub. --check validates the configuration, without connecting to
anything, and exits. cmd/kith/config.go names each field and its default.

Exit status: 0 good, 1 something failed, 2 usage.
`

func serveCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	path := flags.String("config", "", "")
	check := flags.Bool("check", false, "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, serveUsage)
		return 0
	}
	if err != nil || *path == "" || flags.NArg() > 0 {
		fmt.Fprint(stderr, serveUsage)
		return 2
	}
	c, h, err := loadConfig(*path, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "kith serve: %s:\n%v\n", *path, err)
		return 1
	}
	if *check {
		fmt.Fprintf(stdout, "%s: good\n", *path)
		return 0
	}
	if err := serve(ctx, c, h, stdout); err != nil {
		fmt.Fprintf(stderr, "kith serve: %v\n", err)
		return 1
	}
	return 0
}

func loadConfig(path string, stderr io.Writer) (config, hubConfig, error) {
	f, err := os.Open(path)
	if err != nil {
		return config{}, hubConfig{}, err
	}
	defer f.Close()
	c, err := readConfig(f, os.Getenv)
	if err != nil {
		return config{}, hubConfig{}, err
	}
	level, _ := logLevel(c.LogLevel) // hub reports a bad one
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	h, err := c.hub(log, time.Now, rand.Reader)
	return c, h, err
}

func serve(ctx context.Context, c config, h hubConfig, stdout io.Writer) error {
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	defer public.Close()
	private, err := lc.Listen(ctx, "tcp", c.PrivateListen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.PrivateListen, err)
	}
	defer private.Close()
	hub, err := openHub(ctx, h)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "ready http://%s\n", public.Addr())
	return hub.serve(ctx, public, private)
}
