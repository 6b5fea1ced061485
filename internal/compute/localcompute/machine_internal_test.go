package localcompute

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"greenroom"
)

func TestALimitThatIsMetIsNamed(t *testing.T) {
	t.Parallel()
	for errno, says := range map[syscall.Errno]string{
		syscall.EMFILE: "LimitNOFILE", syscall.ENFILE: "fs.file-max", syscall.EAGAIN: "TasksMax", syscall.ENOMEM: "memory", syscall.ENOSPC: "disk", syscall.EDQUOT: "disk",
	} {
		met := &os.PathError{Op: "open", Path: "x", Err: errno}
		err := fmt.Errorf("launch: %w", limited(met))
		if !errors.Is(err, greenroom.ErrCapacity) || !errors.Is(err, errno) || !strings.Contains(greenroom.Sentence(err, ""), says) {
			t.Errorf("%v is told as %v", errno, err)
		}
	}
	for _, other := range []error{nil, syscall.EIO, errors.New("x")} {
		if got := limited(other); got != other {
			t.Errorf("%v becomes %v", other, got)
		}
	}
}
