package main

import (
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/raft"
)

// raftByte stands before a Raft stream on the port of a Nomad server.
const raftByte = 0x02

// stream is the layer below raft.NetworkTransport. With prefix it speaks as on Nomad's port:
// whoever dials writes the mode byte first, whoever accepts reads it.
type stream struct {
	net.Listener
	advertised string
	prefix     bool
}

type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// Addr is what peers dial, which need not be where this process listens.
func (s *stream) Addr() net.Addr { return address(s.advertised) }

func (s *stream) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	connection, err := net.DialTimeout("tcp", string(to), timeout)
	if err != nil || !s.prefix {
		return connection, err
	}
	if _, err := connection.Write([]byte{raftByte}); err != nil {
		connection.Close()
		return nil, err
	}
	return connection, nil
}

func (s *stream) Accept() (net.Conn, error) {
	connection, err := s.Listener.Accept()
	if err != nil || !s.prefix {
		return connection, err
	}
	return &prefixed{Conn: connection}, nil
}

// prefixed drops the mode byte at the first read, so that nobody who dials and then says nothing
// holds up the accepting loop.
type prefixed struct {
	net.Conn
	begun bool
}

func (p *prefixed) Read(into []byte) (int, error) {
	if !p.begun {
		var mode [1]byte
		if _, err := p.Conn.Read(mode[:]); err != nil {
			return 0, err
		}
		if mode[0] != raftByte {
			return 0, fmt.Errorf("unknown rpc type: mode byte %#x", mode[0])
		}
		p.begun = true
	}
	return p.Conn.Read(into)
}
