package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"sync"

	"github.com/hashicorp/raft"
)

// item is one command that was carried out, with the index of its log entry.
type item struct {
	index uint64
	data  []byte
}

// list is the state machine of both peers: it keeps every command in order. Its digest and its
// snapshot are made of the same bytes: index (8), length (4), data; numbers are big endian.
type list struct {
	mutex  sync.Mutex
	items  []item
	digest hash.Hash
}

func newList() *list { return &list{digest: sha256.New()} }

func record(each item) []byte {
	head := binary.BigEndian.AppendUint64(nil, each.index)
	head = binary.BigEndian.AppendUint32(head, uint32(len(each.data)))
	return append(head, each.data...)
}

func (l *list) add(each item) {
	l.items = append(l.items, each)
	l.digest.Write(record(each))
}

// Apply carries out one committed command; its result is how many there are now.
func (l *list) Apply(log *raft.Log) interface{} {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.add(item{log.Index, append([]byte(nil), log.Data...)})
	return len(l.items)
}

// Snapshot copies the list now; the copy is written out later.
func (l *list) Snapshot() (raft.FSMSnapshot, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return &image{append([]item(nil), l.items...)}, nil
}

// Restore replaces the list by the one in a snapshot.
func (l *list) Restore(source io.ReadCloser) error {
	defer source.Close()
	fresh := newList()
	reader := bufio.NewReader(source)
	for {
		var head [12]byte
		if _, err := io.ReadFull(reader, head[:]); err == io.EOF {
			break
		} else if err != nil {
			return fmt.Errorf("damaged snapshot: %w", err)
		}
		data := make([]byte, binary.BigEndian.Uint32(head[8:]))
		if _, err := io.ReadFull(reader, data); err != nil {
			return fmt.Errorf("damaged snapshot: %w", err)
		}
		fresh.add(item{binary.BigEndian.Uint64(head[:8]), data})
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.items, l.digest = fresh.items, fresh.digest
	return nil
}

func (l *list) sum() (count int, last uint64, digest string) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if count = len(l.items); count > 0 {
		last = l.items[count-1].index
	}
	return count, last, hex.EncodeToString(l.digest.Sum(nil))
}

// dump gives index and data of every item; long data as its beginning.
func (l *list) dump() [][2]interface{} {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	out := make([][2]interface{}, 0, len(l.items))
	for _, each := range l.items {
		out = append(out, [2]interface{}{each.index, string(each.data[:min(len(each.data), 40)])})
	}
	return out
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

type image struct{ items []item }

func (i *image) Persist(sink raft.SnapshotSink) error {
	writer := bufio.NewWriter(sink)
	for _, each := range i.items {
		if _, err := writer.Write(record(each)); err != nil {
			sink.Cancel()
			return err
		}
	}
	if err := writer.Flush(); err != nil {
		sink.Cancel()
		return err
	}
	return sink.Close()
}

func (i *image) Release() {}
