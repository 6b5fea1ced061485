package dynamostore_test

import (
	"context"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go/middleware"

	"greenroom"
	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

// meter asks with each call what it consumed, and adds it up by operation: write units, or read units.
type meter struct {
	mu    sync.Mutex
	units map[string]float64
	calls map[string]int
}

// on returns the account with the meter between.
func (m *meter) on(account aws.Config) aws.Config {
	m.reset()
	account.APIOptions = append(account.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("meter", m.measure), middleware.Before)
	})
	return account
}

func (m *meter) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.units, m.calls = map[string]float64{}, map[string]int{}
}

func (m *meter) measure(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	if field := reflect.ValueOf(in.Parameters).Elem().FieldByName("ReturnConsumedCapacity"); field.IsValid() {
		field.SetString(string(types.ReturnConsumedCapacityTotal))
	}
	out, metadata, err := next.HandleInitialize(ctx, in)
	if err != nil || out.Result == nil {
		return out, metadata, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	operation := middleware.GetOperationName(ctx)
	m.calls[operation]++
	switch consumed := reflect.ValueOf(out.Result).Elem().FieldByName("ConsumedCapacity"); {
	case !consumed.IsValid():
	case consumed.Kind() == reflect.Slice:
		for _, c := range consumed.Interface().([]types.ConsumedCapacity) {
			m.units[operation] += aws.ToFloat64(c.CapacityUnits)
		}
	case !consumed.IsNil():
		m.units[operation] += aws.ToFloat64(consumed.Interface().(*types.ConsumedCapacity).CapacityUnits)
	}
	return out, metadata, err
}

func (m *meter) sum(operations ...string) (units float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, o := range operations {
		units += m.units[o]
	}
	return units
}

// Prices of us-east-1 on demand, in dollars for a million units.
const writePrice, readPrice = 0.625, 0.125

// TestCostOfALife leads a meeting of two seats through the saves of a good life, and bounds what DynamoDB bills for it.
func TestCostOfALife(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	var used meter
	s := dynamostore.New(dynamostore.Options{AWS: used.on(account), Table: table})
	m := storetest.Meeting(start)
	m, _, err := s.Create(t.Context(), m, []greenroom.Event{{At: start, Kind: greenroom.EventScheduled}}, store.Idempotency{Key: "k", Fingerprint: "f", At: start})
	if err != nil {
		t.Fatal(err)
	}
	saves := 1
	save := func(events ...greenroom.Event) {
		t.Helper()
		read, err := s.Meeting(t.Context(), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		read.WakeAt = read.WakeAt.Add(5 * time.Second)
		m = update(t, s, read, events...)
		m.Seats = read.Seats
		saves++
	}
	for _, phase := range []greenroom.Phase{
		greenroom.Launching, greenroom.Booting, greenroom.Naming, greenroom.Proving, greenroom.Ready, greenroom.InUse, greenroom.Terminating, greenroom.Gone,
	} {
		for i := range m.Seats { // each seat by itself: together would be cheaper
			m.Seats[i].Desktop.Phase = phase
			if phase == greenroom.Booting {
				m.Seats[i].Desktop.InstanceID = greenroom.InstanceIDFromToken(fmt.Sprint(m.ID, i))
			}
			save(greenroom.Event{At: start, Kind: greenroom.EventPhase, Seat: m.Seats[i].ID, Message: "The desktop entered a phase."})
		}
		save() // the renewal of a lease
	}
	writes := used.sum("PutItem", "TransactWriteItems", "BatchWriteItem")
	reads := used.sum("GetItem", "BatchGetItem", "Query")
	cents := (writes*writePrice + reads*readPrice) / 1e4
	t.Logf("%d saves of %d bytes: %.0f write units, %.1f read units, %.4f cents; %v in %v calls", saves, size(t, m), writes, reads, cents, used.units, used.calls)
	t.Logf("a meeting of 64 seats has %d bytes", size(t, full()))
	if cents > 0.05 {
		t.Errorf("a meeting costs %.4f cents in the table, more than a twentieth", cents)
	}
}

func size(t *testing.T, m greenroom.Meeting) int {
	t.Helper()
	doc, err := store.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return len(doc)
}

// Nothing that is asked all the time costs more because of meetings that are over.
func TestNothingGrowsWithWhatIsOver(t *testing.T) {
	t.Parallel()
	account := dynamolocal.Account(t)
	open(t, account)
	var used meter
	s := dynamostore.New(dynamostore.Options{AWS: used.on(account), Table: table})
	for range 20 {
		create(t, s, storetest.Meeting(start), greenroom.Event{At: start, Kind: greenroom.EventReady})
	}
	questions := map[string]func() error{
		"due":       func() error { _, err := s.Due(t.Context(), start.Add(time.Hour), 100); return err },
		"scheduled": func() error { _, _, err := s.List(t.Context(), store.Filter{State: greenroom.Scheduled}); return err },
		"preparing": func() error { _, _, err := s.List(t.Context(), store.Filter{State: greenroom.Preparing}); return err },
		"live":      func() error { _, _, err := s.Live(t.Context(), ""); return err },
		"recent":    func() error { _, err := s.RecentEvents(t.Context(), greenroom.EventReady, 10); return err },
		"page":      func() error { _, _, err := s.List(t.Context(), store.Filter{Limit: 10, Newest: true}); return err },
	}
	cost := func() map[string]float64 {
		out := map[string]float64{}
		for name, ask := range questions {
			used.reset()
			if err := ask(); err != nil {
				t.Fatal(err)
			}
			out[name] = used.sum("Query", "BatchGetItem")
		}
		return out
	}
	before := cost()
	over := storetest.Meeting(start.Add(-time.Hour))
	over.EndReason, over.Closed = greenroom.Completed, true
	for i := range over.Seats {
		over.Seats[i].Desktop.Phase = greenroom.Gone
	}
	for range 400 {
		over.ID = greenroom.NewMeetingID()
		create(t, s, over, greenroom.Event{At: start.Add(-time.Hour), Kind: greenroom.EventReady})
	}
	after := cost()
	t.Logf("read units before 400 meetings that are over: %v, and after: %v", before, after)
	for name, units := range before {
		if after[name] > units*1.2+8 { // a page reads as far as it is long into each of its partitions
			t.Errorf("%s costs %.1f units, and %.1f with 400 meetings that are over", name, units, after[name])
		}
	}
}
