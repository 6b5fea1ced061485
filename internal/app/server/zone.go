package server

import (
	"context"

	"greenroom/internal/dns/embeddeddns"
	"greenroom/internal/store"
)

// zoneRecords lets the embedded zone keep its records in the store, without either knowing the other.
type zoneRecords struct {
	store   store.Store
	changed func() // is called after a change
}

func (z zoneRecords) PutRecords(ctx context.Context, records []embeddeddns.Record) error {
	out := make([]store.Record, len(records))
	for i, r := range records {
		out[i] = store.Record(r)
	}
	err := z.store.PutRecords(ctx, out)
	z.changed()
	return err
}

func (z zoneRecords) DeleteRecords(ctx context.Context, names []string) error {
	err := z.store.DeleteRecords(ctx, names)
	z.changed()
	return err
}

func (z zoneRecords) Record(ctx context.Context, name string) (embeddeddns.Record, error) {
	r, err := z.store.Record(ctx, name)
	return embeddeddns.Record(r), err
}

func (z zoneRecords) Records(ctx context.Context) ([]embeddeddns.Record, error) {
	list, err := z.store.Records(ctx)
	out := make([]embeddeddns.Record, len(list))
	for i, r := range list {
		out[i] = embeddeddns.Record(r)
	}
	return out, err
}
