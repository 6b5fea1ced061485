// Command zones prints the offset from UTC of each named zone, or the error.
package main

import (
	"fmt"
	"os"
	"time"

	"greenroom/internal/timezone"
)

func main() {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, name := range os.Args[1:] {
		loc, err := timezone.Load(name)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(loc, at.In(loc).Format("-07:00"))
	}
}
