package dynamostore_test

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"greenroom"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/testenv/dynamolocal"
)

func TestFiles(t *testing.T) {
	t.Parallel()
	files := open(t, dynamolocal.Account(t)).Files("acme", 0)
	names := func(directory string) []string {
		t.Helper()
		out, err := files.List(t.Context(), directory)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for _, name := range []string{"a/b/one", "a/two", "ab", "count"} {
		if err := files.Store(t.Context(), name, []byte("first of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := files.Store(t.Context(), "a/two", []byte("second")); err != nil {
		t.Fatal(err)
	}
	if got, modified, err := files.Load(t.Context(), "a/two"); err != nil || string(got) != "second" || time.Since(modified) > time.Minute {
		t.Errorf("loaded %q of %v, %v", got, modified, err)
	}
	if _, _, err := files.Load(t.Context(), "a"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was loaded: %v", err)
	}
	if diff := cmp.Diff([]string{"a/b/one", "a/two"}, names("a")) + cmp.Diff([]string{"a/b/one", "a/two", "ab", "count"}, names("")); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := files.Delete(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"ab", "count"}, names("")); diff != "" {
		t.Error(diff)
	}
	if err := files.Store(t.Context(), "large", make([]byte, 400<<10)); !errors.Is(err, greenroom.ErrPermanent) {
		t.Errorf("more than an item holds: %v", err)
	}
}

func TestOneHoldsALock(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	var all sync.WaitGroup
	var held, sum int
	for range 5 { // processes
		files := dynamostore.New(dynamostore.Options{AWS: account, Table: table}).Files("acme", 0)
		all.Go(func() {
			for range 2 {
				if err := files.Lock(t.Context(), "one"); err != nil {
					t.Error(err)
					return
				}
				if held++; held != 1 { // the race detector looks on
					t.Errorf("%d hold it", held)
				}
				sum++
				held--
				if err := files.Unlock(t.Context(), "one"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if sum != 10 {
		t.Errorf("held %d times", sum)
	}
	files := dynamostore.New(dynamostore.Options{AWS: account, Table: table}).Files("acme", 0)
	if err := files.Lock(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := files.Lock(ctx, "one"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked twice: %v", err)
	}
}
