package embeddeddns

import (
	"context"
	"fmt"
	"net"
	"time"

	miekg "github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"greenroom/internal/access/connlimit"
)

const (
	maxConns    = 256             // TCP connections at once; for one more the oldest of the client with the most makes way
	maxPerAsker = 64              // of them of one client
	idleTimeout = 5 * time.Second // of a TCP connection between two questions
	ioTimeout   = 2 * time.Second
)

// Serve answers over both until ctx ends, and then returns nil with both closed. It closes them as well when
// one of them fails, and returns that error.
func (z *Zone) Serve(ctx context.Context, packets net.PacketConn, listener net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	for network, s := range map[string]*miekg.Server{
		"udp": {PacketConn: packets, UDPSize: maxUDP},
		"tcp": {Listener: &connlimit.Listener{Listener: listener, Pool: connlimit.NewPool(connlimit.Limits{All: maxConns, Each: maxPerAsker})}},
	} {
		s.Handler = z
		s.ReadTimeout, s.WriteTimeout = ioTimeout, ioTimeout
		s.IdleTimeout = func() time.Duration { return idleTimeout }
		started, ended := make(chan struct{}), make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		g.Go(func() error {
			defer close(ended)
			if err := s.ActivateAndServe(); err != nil {
				return fmt.Errorf("serve dns over %s: %w", network, err)
			}
			return nil
		})
		g.Go(func() error {
			<-ctx.Done()
			select {
			case <-ended:
			case <-started: // before that a shutdown does nothing
				_ = s.Shutdown() // its only error is that the server does not run
			}
			return nil
		})
	}
	err := g.Wait()
	packets.Close()
	listener.Close()
	return err
}
