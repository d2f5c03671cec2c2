//go:build !before_prevote

package main

import "github.com/hashicorp/raft"

func setPreVote(config *raft.Config, off bool) { config.PreVoteDisabled = off }
