package novncagent

import (
	"io"
	"os"
	"sync"
)

// maxLog bounds what the desktop's programs may fill the disk with by talking.
const maxLog = 1 << 20

// boundedLog is a file for programs to write to. They get a pipe, so that what exceeds the bound can be
// dropped without a program noticing. done waits for what was written until then; all writers must have ended.
func boundedLog(name string) (w *os.File, done func(), err error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = io.CopyN(file, r, maxLog)
		_, _ = io.Copy(io.Discard, r)
	})
	return w, func() {
		w.Close()
		wg.Wait()
		r.Close()
		file.Close()
	}, nil
}
