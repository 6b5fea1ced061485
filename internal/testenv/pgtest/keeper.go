package pgtest

import (
	"os"
	"os/exec"
	"syscall"
)

// keep waits until its input ends, which it does when the test process or the run of tests ends, however it ends. Then it ends the
// server at once and removes what is left of it.
const keep = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -CONT "$pid" $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  kill -QUIT "$pid"
  i=0
  while readlink "/proc/$pid/exe" && [ $i -lt 200 ]; do sleep 0.05; i=$((i+1)); done
  kill -KILL "$pid"
fi >/dev/null 2>&1
rm -rf "$1"
`

func (s *Server) startKeeper(leash *os.File) error {
	s.keeper = exec.Command("/bin/sh", "-c", keep, "keeper", s.dir)
	s.keeper.Dir = "/"
	s.keeper.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	if leash != nil {
		s.keeper.Stdin = leash
		return s.keeper.Start()
	}
	in, err := s.keeper.StdinPipe()
	if err != nil {
		return err
	}
	s.leash = in
	return s.keeper.Start()
}

// release ends the server and waits until nothing is left of it.
func (s *Server) release() {
	if s.leash == nil {
		_ = os.RemoveAll(s.dir)
		return
	}
	_ = s.leash.Close()
	_ = s.keeper.Wait()
}
