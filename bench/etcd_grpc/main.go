// Command etcd_grpc uses an etcd cluster by gRPC, from etcd's own Go client.
//
// Modes: put, get (linearizable), list (keys by prefix), fill (each key once, in transactions) and
// handover (a lock, from its release to the next holder). Every client has a connection of its own
// and waits for an answer before it asks again. The figures are printed as one line of JSON: answers
// per second, and latencies in milliseconds. Any error ends the program with status 1: a refusal is
// not counted as a fast answer.
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
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
)

type figures struct {
	PerSecond float64 `json:"per_second"`
	MedianMS  float64 `json:"median_ms"`
	P99MS     float64 `json:"p99_ms"`
}

type options struct {
	mode, endpoint, format string
	clients, keys, size    int
	seconds                float64
	timeout                time.Duration
}

const (
	perTransaction = 128 // etcd's own limit
	listed         = 100 // keys that a list has to have
	handovers      = 20  // of one run

	// Until a client certainly waits for the lock: a new watch of etcd is served with others of
	// its kind, each 100 ms, and at once only after that.
	settling = 300 * time.Millisecond
)

func main() {
	var o options
	flag.StringVar(&o.mode, "mode", "put", "put, get, list, fill or handover")
	flag.StringVar(&o.endpoint, "endpoint", "127.0.0.1:2379", "host:port of one server")
	flag.StringVar(&o.format, "format", "benchmark", "of keys, with a verb for the number if -keys is given")
	flag.IntVar(&o.clients, "clients", 1, "how many ask at once")
	flag.IntVar(&o.keys, "keys", 0, "how many keys; 0: the format is the only one")
	flag.IntVar(&o.size, "size", 88, "bytes of the value")
	flag.Float64Var(&o.seconds, "seconds", 5, "for how long; 0: each asks once")
	flag.DurationVar(&o.timeout, "timeout", 10*time.Second, "of one request")
	flag.Parse()
	found, err := run(o)
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

func run(o options) (figures, error) {
	connections := make([]*clientv3.Client, max(o.clients, 2))
	for i := range connections {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{o.endpoint}, DialTimeout: o.timeout})
		if err != nil {
			return figures{}, fmt.Errorf("connect to %s: %w", o.endpoint, err)
		}
		defer client.Close()
		connections[i] = client
	}
	value := strings.Repeat("v", o.size)
	switch o.mode {
	case "fill":
		return fill(connections[0], o, value)
	case "handover":
		return handover(connections[0], connections[1], o)
	case "put":
		return load(connections[:o.clients], o, func(ctx context.Context, client *clientv3.Client, key string) error {
			_, err := client.Put(ctx, key, value)
			return err
		})
	case "get":
		return load(connections[:o.clients], o, func(ctx context.Context, client *clientv3.Client, key string) error {
			found, err := client.Get(ctx, key)
			if err == nil && len(found.Kvs) != 1 {
				err = fmt.Errorf("no key %s", key)
			}
			return err
		})
	case "list":
		return load(connections[:o.clients], o, func(ctx context.Context, client *clientv3.Client, key string) error {
			found, err := client.Get(ctx, key, clientv3.WithPrefix(), clientv3.WithKeysOnly())
			if err == nil && len(found.Kvs) != listed {
				err = fmt.Errorf("%d keys begin with %s", len(found.Kvs), key)
			}
			return err
		})
	}
	return figures{}, fmt.Errorf("no mode is called %q", o.mode)
}

func load(
	connections []*clientv3.Client,
	o options,
	ask func(context.Context, *clientv3.Client, string) error,
) (figures, error) {
	times := make([][]time.Duration, len(connections))
	errs := make([]error, len(connections))
	begun := time.Now()
	end := begun.Add(time.Duration(o.seconds * float64(time.Second)))
	var number atomic.Int64
	var group sync.WaitGroup
	for i, client := range connections {
		group.Go(func() {
			for {
				key := o.format
				if o.keys > 0 {
					key = fmt.Sprintf(o.format, number.Add(1)%int64(o.keys))
				}
				sent := time.Now()
				ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
				err := ask(ctx, client, key)
				cancel()
				if err != nil {
					errs[i] = fmt.Errorf("%s: %w", o.mode, err)
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
	return told(all, float64(len(all))/elapsed), nil
}

func told(all []time.Duration, perSecond float64) figures {
	slices.Sort(all)
	ms := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Microseconds()) / 1000
	}
	return figures{perSecond, ms(0.5), ms(0.99)}
}

func fill(client *clientv3.Client, o options, value string) (figures, error) {
	var times []time.Duration
	begun := time.Now()
	for first := 0; first < o.keys; first += perTransaction {
		var puts []clientv3.Op
		for n := first; n < min(first+perTransaction, o.keys); n++ {
			puts = append(puts, clientv3.OpPut(fmt.Sprintf(o.format, n), value))
		}
		sent := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
		_, err := client.Txn(ctx).Then(puts...).Commit()
		cancel()
		if err != nil {
			return figures{}, fmt.Errorf("fill: %w", err)
		}
		times = append(times, time.Since(sent))
	}
	return told(times, float64(o.keys)/time.Since(begun).Seconds()), nil
}

// handover is the time from the call that releases a lock to the return of the call that waits for it.
func handover(one, other *clientv3.Client, o options) (figures, error) {
	var locks [2]*concurrency.Mutex
	for i, client := range []*clientv3.Client{one, other} {
		session, err := concurrency.NewSession(client)
		if err != nil {
			return figures{}, fmt.Errorf("session: %w", err)
		}
		defer session.Close()
		locks[i] = concurrency.NewMutex(session, o.format)
	}
	ctx, cancel := context.WithTimeout(context.Background(), handovers*(o.timeout+settling))
	defer cancel()
	if err := locks[0].Lock(ctx); err != nil {
		return figures{}, fmt.Errorf("lock: %w", err)
	}
	var times []time.Duration
	for n := range handovers {
		holder, waiter := locks[n%2], locks[(n+1)%2]
		acquired := make(chan error, 1)
		var at time.Time
		go func() {
			err := waiter.Lock(ctx)
			at = time.Now()
			acquired <- err
		}()
		time.Sleep(settling)
		released := time.Now()
		if err := holder.Unlock(ctx); err != nil {
			return figures{}, fmt.Errorf("unlock: %w", err)
		}
		if err := <-acquired; err != nil {
			return figures{}, fmt.Errorf("lock: %w", err)
		}
		times = append(times, at.Sub(released))
	}
	found := told(times, 0)
	found.PerSecond = 1000 / found.MedianMS
	return found, nil
}
