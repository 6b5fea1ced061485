package dynamostore_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"greenroom/internal/store"
	"greenroom/internal/store/dynamostore"
	"greenroom/internal/store/storetest"
	"greenroom/internal/testenv/dynamolocal"
)

const table = "greenroom"

// open makes a table in an account, and returns the store in it.
func open(t testing.TB, account aws.Config) *dynamostore.Store {
	t.Helper()
	o := dynamostore.Options{AWS: account, Table: table}
	if err := dynamostore.CreateTable(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return dynamostore.New(o)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, dynamolocal.Account(t)) })
}

func BenchmarkStore(b *testing.B) {
	storetest.Bench(b, func(b *testing.B) store.Store { return open(b, dynamolocal.Account(b)) })
}
