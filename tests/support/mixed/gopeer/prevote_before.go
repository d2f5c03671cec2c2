//go:build before_prevote

package main

import "github.com/hashicorp/raft"

// Releases before 1.7 know no pre-vote: there is nothing to turn off.
func setPreVote(_ *raft.Config, _ bool) {}
