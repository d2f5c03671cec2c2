// Command etcd_grpc writes one key of an etcd cluster by gRPC, from etcd's own Go client.
//
// Every client has a connection of its own and waits for an answer before it writes again. The
// figures are printed as one line of JSON: writes per second, and latencies in milliseconds. Any
// error ends the program with status 1: a refusal is not counted as a fast answer.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

type figures struct {
	PerSecond float64 `json:"per_second"`
	MedianMS  float64 `json:"median_ms"`
	P99MS     float64 `json:"p99_ms"`
}

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:2379", "host:port of one server")
	clients := flag.Int("clients", 1, "how many write at once")
	seconds := flag.Float64("seconds", 5, "for how long; 0: each writes once")
	size := flag.Int("size", 88, "bytes of the value")
	timeout := flag.Duration("timeout", 10*time.Second, "of one write")
	flag.Parse()
	found, err := load(*endpoint, *clients, *seconds, strings.Repeat("v", *size), *timeout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	line, err := json.Marshal(found)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(string(line))
}

func load(endpoint string, clients int, seconds float64, value string, timeout time.Duration) (figures, error) {
	connections := make([]*clientv3.Client, clients)
	for i := range connections {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: timeout})
		if err != nil {
			return figures{}, fmt.Errorf("connect to %s: %w", endpoint, err)
		}
		defer client.Close()
		connections[i] = client
	}
	times := make([][]time.Duration, clients)
	errs := make([]error, clients)
	begun := time.Now()
	end := begun.Add(time.Duration(seconds * float64(time.Second)))
	var group sync.WaitGroup
	for i, client := range connections {
		group.Go(func() {
			for {
				sent := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), timeout)
				_, err := client.Put(ctx, "benchmark", value)
				cancel()
				if err != nil {
					errs[i] = fmt.Errorf("put: %w", err)
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(sent))
				if !now.Before(end) {
					return
				}
			}
		})
	}
	group.Wait()
	elapsed := time.Since(begun).Seconds()
	for _, err := range errs {
		if err != nil {
			return figures{}, err
		}
	}
	all := slices.Concat(times...)
	slices.Sort(all)
	ms := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	return figures{float64(len(all)) / elapsed, ms(0.5), ms(0.99)}, nil
}
