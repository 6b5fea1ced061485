package dynamostore_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

// frozen is a server before DynamoDB Local whose indexes stand still: each question to one is answered as it was first.
func frozen(t *testing.T, url string) string {
	t.Helper()
	var mu sync.Mutex
	answers := map[string]*httptest.ResponseRecorder{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, _ := io.ReadAll(r.Body)
		var fields map[string]any // in whatever order they came
		json.Unmarshal(asked, &fields)
		question, _ := json.Marshal(fields)
		mu.Lock()
		answer := answers[string(question)]
		mu.Unlock()
		if answer == nil {
			on, _ := http.NewRequest(r.Method, url, bytes.NewReader(asked))
			on.Header = r.Header
			got, err := http.DefaultTransport.RoundTrip(on)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
			defer got.Body.Close()
			answer = httptest.NewRecorder()
			answer.Code = got.StatusCode
			for name := range got.Header {
				answer.Header().Set(name, got.Header.Get(name))
			}
			io.Copy(answer.Body, got.Body)
			if strings.Contains(string(asked), "IndexName") {
				mu.Lock()
				answers[string(question)] = answer
				mu.Unlock()
			}
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// Indexes follow later than items. What they still name is not handed out when it is not so any more.
func TestStaleIndexesAreNotBelieved(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	account.BaseEndpoint = aws.String(frozen(t, *account.BaseEndpoint))
	s := dynamostore.New(dynamostore.Options{AWS: account, Table: table})
	stays := create(t, s, storetest.Meeting(start))
	moves, closes, prepares := create(t, s, storetest.Meeting(start)), create(t, s, storetest.Meeting(start)), create(t, s, storetest.Meeting(start))
	scheduled := store.Filter{State: greenroom.Scheduled}
	look := func() (listed, due int) {
		t.Helper()
		meetings, next, err := s.List(t.Context(), scheduled)
		if err != nil || next != "" {
			t.Fatal(next, err)
		}
		wakes, err := s.Due(t.Context(), start.Add(time.Hour), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range wakes {
			if now, err := s.Meeting(t.Context(), w.Meeting); err != nil || !now.WakeAt.Equal(w.At) || now.Closed {
				t.Errorf("due is %v, and the meeting wants %s, %v", w, now.WakeAt, err)
			}
		}
		return len(meetings), len(wakes)
	}
	if listed, due := look(); listed != 4 || due != 4 {
		t.Fatalf("%d listed, %d due, want four", listed, due)
	}
	moves.StartsAt, moves.WakeAt = moves.StartsAt.Add(time.Hour), moves.WakeAt.Add(24*time.Hour)
	update(t, s, moves)
	closes.EndReason, closes.Closed = greenroom.Cancelled, true
	update(t, s, closes)
	prepares.Seats[0].Desktop.Phase = greenroom.Launching
	update(t, s, prepares)
	if listed, due := look(); listed != 1 || due != 2 {
		t.Errorf("%d listed, %d due, want one and two", listed, due)
	}
	if all, _, err := s.List(t.Context(), scheduled); err != nil || len(all) != 1 || all[0].ID != stays.ID {
		t.Errorf("listed is %v, %v", all, err)
	}
}
