// Command gopeer is one server of hashicorp/raft for the tests of mixed clusters: a list as state
// machine, and a control connection on loopback that takes one JSON object a line.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "gopeer:", err)
		os.Exit(1)
	}
}

func run() error {
	id := flag.String("id", "", "id of this server")
	bind := flag.String("bind", "", "host:port on which Raft is spoken")
	advertise := flag.String("advertise", "", "host:port that peers dial")
	control := flag.String("control", "", "host:port of the control connection")
	folder := flag.String("dir", "", "folder of log and snapshots")
	prefix := flag.Bool("prefix", false, "a mode byte stands before each stream, as on Nomad's port")
	protocol := flag.Int("protocol", 3, "version of the Raft protocol")
	multiplier := flag.Float64("multiplier", 1, "stretches the default timing")
	trailing := flag.Uint64("trailing", 10240, "entries kept behind a snapshot")
	newTime := flag.Bool("new-time", false, "write times as recent releases of Nomad do")
	inFlight := flag.Int("in-flight", 2, "appends on their way to a peer")
	noPreVote := flag.Bool("no-pre-vote", false, "campaign without a pre-vote")
	flag.Parse()

	logger := hclog.New(&hclog.LoggerOptions{
		Name: *id, Level: hclog.Debug, Output: os.Stderr, TimeFormat: "15:04:05.000",
	})
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(*id)
	config.ProtocolVersion = raft.ProtocolVersion(*protocol)
	config.Logger = logger
	config.TrailingLogs = *trailing
	config.ShutdownOnRemove = false
	for _, each := range []*time.Duration{
		&config.HeartbeatTimeout, &config.ElectionTimeout, &config.LeaderLeaseTimeout, &config.CommitTimeout,
	} {
		*each = time.Duration(float64(*each) * *multiplier)
	}
	setPreVote(config, *noPreVote)

	store, err := boltdb.New(boltdb.Options{
		Path: filepath.Join(*folder, "raft.db"), MsgpackUseNewTimeFormat: *newTime,
	})
	if err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(*folder, 2, logger)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *bind)
	if err != nil {
		return err
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:  &stream{Listener: listener, advertised: *advertise, prefix: *prefix},
		MaxPool: 3,
		Timeout: 2 * time.Second,
		Logger:  logger,

		MaxRPCsInFlight:         *inFlight,
		MsgpackUseNewTimeFormat: *newTime,
	})
	machine := newList()
	node, err := raft.NewRaft(config, machine, store, store, snapshots, transport)
	if err != nil {
		return err
	}
	served := &peer{raft: node, machine: machine, store: store, version: version()}
	return served.listen(*control)
}

// version is the one of hashicorp/raft that is linked in.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/hashicorp/raft" {
				return module.Version
			}
		}
	}
	return "unknown"
}
