package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
)

// ask is one line of the control connection, as JSON; the answer is one line, too.
type ask struct {
	Op      string `json:"op"`
	Data    string `json:"data"`
	Pad     int    `json:"pad"`
	Ext     string `json:"ext"`
	NoWait  bool   `json:"nowait"`
	Kind    string `json:"kind"`
	ID      string `json:"id"`
	Address string `json:"address"`
	Prev    uint64 `json:"prev"`
	Servers []struct {
		ID       string `json:"id"`
		Address  string `json:"address"`
		Suffrage int    `json:"suffrage"`
	} `json:"servers"`
}

type answer map[string]interface{}

const patience = 10 * time.Second

// peer is what the control connection works on.
type peer struct {
	raft    *raft.Raft
	machine *list
	store   *boltdb.BoltStore
	version string
}

func (p *peer) listen(on string) error {
	listener, err := net.Listen("tcp", on)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go p.serve(connection)
	}
}

func (p *peer) serve(connection net.Conn) {
	defer connection.Close()
	lines := bufio.NewScanner(connection)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		var question ask
		reply := answer{}
		if err := json.Unmarshal(lines.Bytes(), &question); err != nil {
			reply["error"] = err.Error()
		} else if err := p.carryOut(&question, reply); err != nil {
			reply["error"] = err.Error()
		}
		line, err := json.Marshal(reply)
		if err != nil {
			line = []byte(`{"error": "answer cannot be written"}`)
		}
		if _, err := connection.Write(append(line, '\n')); err != nil {
			return
		}
	}
}

func (p *peer) carryOut(question *ask, reply answer) error {
	switch question.Op {
	case "apply":
		return p.apply(question, reply)
	case "bootstrap":
		return p.bootstrap(question)
	case "change":
		return p.change(question, reply)
	case "transfer":
		if question.ID == "" {
			return p.raft.LeadershipTransfer().Error()
		}
		to := raft.ServerAddress(question.Address)
		return p.raft.LeadershipTransferToServer(raft.ServerID(question.ID), to).Error()
	case "snapshot":
		if err := p.raft.Snapshot().Error(); !errors.Is(err, raft.ErrNothingNewToSnapshot) {
			return err
		}
		return nil
	case "restore":
		return p.restore()
	case "barrier":
		return p.raft.Barrier(patience).Error()
	case "state":
		return p.state(reply)
	case "log":
		return p.log(reply)
	case "items":
		reply["items"] = p.machine.dump()
		return nil
	}
	return fmt.Errorf("unknown op %q", question.Op)
}

func (p *peer) apply(question *ask, reply answer) error {
	data := []byte(question.Data + strings.Repeat(".", question.Pad))
	future := p.raft.ApplyLog(raft.Log{Data: data, Extensions: []byte(question.Ext)}, patience)
	if question.NoWait {
		return nil
	}
	if err := future.Error(); err != nil {
		return err
	}
	reply["index"], reply["result"] = future.Index(), future.Response()
	return nil
}

// restore brings the cluster back to a snapshot taken now, as an operator does with an older one.
func (p *peer) restore() error {
	taken := p.raft.Snapshot()
	if err := taken.Error(); err != nil {
		return err
	}
	meta, source, err := taken.Open()
	if err != nil {
		return err
	}
	defer source.Close()
	return p.raft.Restore(meta, source, patience)
}

func (p *peer) bootstrap(question *ask) error {
	var configuration raft.Configuration
	for _, each := range question.Servers {
		configuration.Servers = append(configuration.Servers, raft.Server{
			Suffrage: raft.ServerSuffrage(each.Suffrage),
			ID:       raft.ServerID(each.ID),
			Address:  raft.ServerAddress(each.Address),
		})
	}
	return p.raft.BootstrapCluster(configuration).Error()
}

func (p *peer) change(question *ask, reply answer) error {
	id, at := raft.ServerID(question.ID), raft.ServerAddress(question.Address)
	var future raft.IndexFuture
	switch question.Kind {
	case "add_voter", "promote":
		future = p.raft.AddVoter(id, at, question.Prev, patience)
	case "add_nonvoter":
		future = p.raft.AddNonvoter(id, at, question.Prev, patience)
	case "demote":
		future = p.raft.DemoteVoter(id, question.Prev, patience)
	case "remove":
		future = p.raft.RemoveServer(id, question.Prev, patience)
	default:
		return fmt.Errorf("unknown change %q", question.Kind)
	}
	if err := future.Error(); err != nil {
		return err
	}
	reply["index"] = future.Index()
	return nil
}

func (p *peer) state(reply answer) error {
	future := p.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return err
	}
	servers := []answer{}
	for _, each := range future.Configuration().Servers {
		servers = append(servers, answer{
			"id": each.ID, "address": each.Address, "suffrage": int(each.Suffrage),
		})
	}
	at, leader := p.raft.LeaderWithID()
	stats := p.raft.Stats()
	count, last, digest := p.machine.sum()
	reply["role"] = strings.ToLower(p.raft.State().String())
	reply["leader"], reply["leader_address"] = leader, at
	reply["servers"] = servers
	reply["count"], reply["last_item"], reply["digest"] = count, last, digest
	reply["version"] = p.version
	for key, name := range map[string]string{
		"term": "term", "last": "last_log_index", "commit": "commit_index",
		"applied": "applied_index", "snapshot": "last_snapshot_index",
	} {
		number, err := strconv.ParseUint(stats[name], 10, 64)
		if err != nil {
			return err
		}
		reply[key] = number
	}
	return nil
}

// log lists the log: index, term, type, digest of data and extensions. It begins behind the last hole, which
// an installed snapshot leaves in the store above entries that are not yet old enough to go.
func (p *peer) log(reply answer) error {
	first, err := p.store.FirstIndex()
	if err != nil {
		return err
	}
	last, err := p.store.LastIndex()
	if err != nil {
		return err
	}
	entries := [][4]interface{}{}
	for index := first; index > 0 && index <= last; index++ {
		var entry raft.Log
		if err := p.store.GetLog(index, &entry); errors.Is(err, raft.ErrLogNotFound) {
			entries = entries[:0]
			continue
		} else if err != nil {
			return err
		}
		sum := sha256.Sum256(append(append([]byte(nil), entry.Data...), entry.Extensions...))
		entries = append(entries, [4]interface{}{
			entry.Index, entry.Term, int(entry.Type), hex.EncodeToString(sum[:8]),
		})
	}
	reply["entries"] = entries
	return nil
}
