package dynamostore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

// start is when the meetings of the tests begin.
var start = time.Date(2026, 12, 1, 15, 0, 0, 0, time.UTC)

// behind returns the store in the same table, behind a proxy that chooses faults.
func behind(t testing.TB, account aws.Config, choose func(operation string) dynamolocal.Fault) *dynamostore.Store {
	t.Helper()
	account.BaseEndpoint = aws.String(dynamolocal.Proxy(t, *account.BaseEndpoint, choose))
	return dynamostore.New(dynamostore.Options{AWS: account, Table: table})
}

// The whole contract holds when every fifth request meets a fault, and each kind of fault each kind of request.
func TestConformanceThroughFaults(t *testing.T) {
	t.Parallel()
	faults := []dynamolocal.Fault{
		dynamolocal.AnswerLost, dynamolocal.Throttled, dynamolocal.RequestLost, dynamolocal.ErrorAfterAll, dynamolocal.ServerError, dynamolocal.Later,
	}
	storetest.Run(t, func(t *testing.T) store.Store {
		account := dynamolocal.Account(t)
		open(t, account)
		var requests atomic.Int64
		return behind(t, account, func(string) dynamolocal.Fault {
			n := requests.Add(1)
			if n%5 != 0 {
				return dynamolocal.None
			}
			return faults[int(n/5)%len(faults)]
		})
	})
}

// A save whose answer was lost, and on which somebody else has built meanwhile, is no conflict: it happened once.
func TestSaveWhoseAnswerIsLostIsRecognised(t *testing.T) {
	t.Parallel()
	for name, events := range map[string][]greenroom.Event{
		"Alone":      nil,
		"WithEvents": {{At: start, Kind: greenroom.EventPhase}, {At: start, Kind: greenroom.EventReady}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := dynamolocal.Account(t)
			others := open(t, account)
			m, _, err := others.Create(t.Context(), storetest.Meeting(start), nil, store.Idempotency{})
			if err != nil {
				t.Fatal(err)
			}
			var lost, built atomic.Bool
			s := behind(t, account, func(operation string) dynamolocal.Fault {
				switch {
				case operation != "PutItem" && operation != "TransactWriteItems":
				case lost.CompareAndSwap(false, true):
					return dynamolocal.AnswerLost
				case built.CompareAndSwap(false, true):
					theirs, err := others.Meeting(t.Context(), m.ID)
					if err != nil || theirs.Title != "Ours" {
						t.Errorf("the first attempt left %q, %v", theirs.Title, err)
					}
					theirs.Title = "Theirs"
					if _, err := others.Update(t.Context(), theirs, nil); err != nil {
						t.Error(err)
					}
				}
				return dynamolocal.None
			})
			ours := m.Clone()
			ours.Title = "Ours"
			saved, err := s.Update(t.Context(), ours, events)
			if err != nil || saved.Rev != m.Rev+1 || saved.Title != "Ours" {
				t.Errorf("the save returned revision %d, %q, %v", saved.Rev, saved.Title, err)
			}
			now, err := s.Meeting(t.Context(), m.ID)
			if err != nil || now.Rev != m.Rev+2 || now.Title != "Theirs" {
				t.Errorf("stored is revision %d, %q, %v", now.Rev, now.Title, err)
			}
			if got, err := s.Events(t.Context(), m.ID, 0, 10); err != nil || len(got) != len(events) {
				t.Errorf("%d events, want %d, %v", len(got), len(events), err)
			}
		})
	}
}

// A transaction that another one held up is tried again; one whose condition was not met is not.
func TestTransactionInTheWayIsTriedAgain(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	m := create(t, open(t, account), storetest.Meeting(start))
	for reason, want := range map[string]error{"TransactionConflict": nil, "ThrottlingError": nil, "ConditionalCheckFailed": greenroom.ErrConflict} {
		var tries atomic.Int64
		s := behind(t, account, func(operation string) dynamolocal.Fault {
			if operation != "TransactWriteItems" || tries.Add(1) > 3 {
				return dynamolocal.None
			}
			return dynamolocal.Fault{Status: 400, Code: "TransactionCanceledException", Reason: reason}
		})
		saved, err := s.Update(t.Context(), m, []greenroom.Event{{At: start, Kind: greenroom.EventPhase}})
		if !errors.Is(err, want) {
			t.Errorf("%s: %v", reason, err)
		}
		if wantTries := map[bool]int64{true: 4, false: 1}[want == nil]; tries.Load() != wantTries {
			t.Errorf("%s: %d tries, want %d", reason, tries.Load(), wantTries)
		}
		if err == nil {
			m = saved
		}
	}
}

// What is left of a batch is asked for again, for a while.
func TestBatchThatIsNeverTakenIsGivenUp(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	create(t, open(t, account), storetest.Meeting(start))
	s := behind(t, account, func(string) dynamolocal.Fault { return dynamolocal.Later })
	_, _, listing := s.List(t.Context(), store.Filter{})
	for what, err := range map[string]error{"delete": s.DeleteRecords(t.Context(), []string{"a.example"}), "list": listing} {
		if got := greenroom.Sentence(err, ""); !errors.Is(err, greenroom.ErrUnavailable) || !strings.Contains(got, "takes no more requests") {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

// calls are all a caller may ask, by name.
func calls(s *dynamostore.Store, m greenroom.Meeting) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"create": func(ctx context.Context) error {
			_, _, err := s.Create(ctx, storetest.Meeting(start), nil, store.Idempotency{Key: "k", Fingerprint: "f", At: start})
			return err
		},
		"update":  func(ctx context.Context) error { _, err := s.Update(ctx, m, nil); return err },
		"meeting": func(ctx context.Context) error { _, err := s.Meeting(ctx, m.ID); return err },
		"list":    func(ctx context.Context) error { _, _, err := s.List(ctx, store.Filter{}); return err },
		"due":     func(ctx context.Context) error { _, err := s.Due(ctx, start, 10); return err },
		"events":  func(ctx context.Context) error { _, err := s.Events(ctx, m.ID, 0, 10); return err },
		"recent":  func(ctx context.Context) error { _, err := s.RecentEvents(ctx, greenroom.EventReady, 10); return err },
		"setting": func(ctx context.Context) error { _, err := s.Setting(ctx, "new", "x"); return err },
		"records": func(ctx context.Context) error { return s.DeleteRecords(ctx, []string{"a.example"}) },
		"forget":  func(ctx context.Context) error { return s.Forget(ctx, start) },
		"ping":    s.Ping,
	}
}

func TestFailuresAreExplained(t *testing.T) {
	t.Parallel()
	denied := dynamolocal.Fault{
		Status: 400, Code: "AccessDeniedException",
		Text: "User: arn:aws:sts::1:assumed-role/x is not authorized to perform: dynamodb:PutItem on resource: arn:aws:dynamodb:eu-west-1:1:table/greenroom",
	}
	for name, c := range map[string]struct {
		fault dynamolocal.Fault
		want  string
	}{
		"NoTable":          {dynamolocal.Fault{Status: 400, Code: "ResourceNotFoundException"}, "does not exist in eu-west-1"},
		"NoPermission":     {denied, "refuses dynamodb:PutItem on the table greenroom"},
		"ExpiredToken":     {dynamolocal.Fault{Status: 400, Code: "ExpiredTokenException"}, "does not accept the credentials"},
		"WrongCredentials": {dynamolocal.Fault{Status: 400, Code: "UnrecognizedClientException"}, "does not accept the credentials"},
		"Throttled":        {dynamolocal.Throttled, "takes no more requests"},
		"Down":             {dynamolocal.ServerError, "does not answer"},
		"Unreachable":      {dynamolocal.RequestLost, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := dynamolocal.Account(t)
			m, _, err := open(t, account).Create(t.Context(), storetest.Meeting(start), nil, store.Idempotency{})
			if err != nil {
				t.Fatal(err)
			}
			s := behind(t, account, func(string) dynamolocal.Fault { return c.fault })
			var all sync.WaitGroup
			for what, call := range calls(s, m) {
				all.Go(func() {
					err := call(t.Context())
					if sentence := greenroom.Sentence(err, ""); !strings.Contains(sentence, c.want) || strings.Contains(sentence, "\n") {
						t.Errorf("%s: the sentence is %q, want %q in it; %v", what, sentence, c.want, err)
					}
					if !errors.Is(err, greenroom.ErrUnavailable) {
						t.Errorf("%s: the error is %v, want one of kind %q", what, err, greenroom.ErrUnavailable)
					}
				})
			}
			all.Wait()
		})
	}
}

func TestDeletedTableIsNamed(t *testing.T) {
	t.Parallel()
	s := dynamostore.New(dynamostore.Options{AWS: dynamolocal.Account(t), Table: "nothing-here"})
	for what, err := range map[string]error{"ping": s.Ping(t.Context()), "check": s.Check(t.Context())} {
		if got := greenroom.Sentence(err, ""); !strings.Contains(got, "The table nothing-here does not exist") {
			t.Errorf("%s: %q, %v", what, got, err)
		}
	}
}

func TestCallerWhoGivesUpIsToldSo(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	s := behind(t, account, func(string) dynamolocal.Fault { return dynamolocal.ServerError })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, greenroom.ErrUnavailable) {
		t.Error(err)
	}
}
