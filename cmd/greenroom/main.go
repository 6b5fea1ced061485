// Command greenroom is the whole product in one program: the server, the desktop's agent, and the organiser's
// command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(start()) }

// start ends on a first interrupt in order; a second one ends the program at once. As the first process of a container it is an init.
func start() int {
	if isInit() {
		return asInit(os.Stderr)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
}
