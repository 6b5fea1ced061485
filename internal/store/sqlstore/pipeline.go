package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// pipeline holds back statements whose results nobody looks at, and sends them together: on a server the way there and
// back is most of what a statement costs. On a nil pipeline they are run at once.
type pipeline struct {
	conn    *sql.Conn
	bind    func(query string) string
	pending pgx.Batch
}

func postgresPipeline(conn *sql.Conn) *pipeline { return &pipeline{conn: conn, bind: bindPostgres} }

func (p *pipeline) add(query string, args []any) { p.pending.Queue(p.bind(query), args...) }

// flush runs what was held back. After an error the transaction is lost, or the part of it since the last savepoint.
func (p *pipeline) flush(ctx context.Context) error {
	if p == nil || p.pending.Len() == 0 {
		return nil
	}
	batch := p.pending
	p.pending = pgx.Batch{}
	err := p.conn.Raw(func(c any) error { return c.(*stdlib.Conn).Conn().SendBatch(ctx, &batch).Close() })
	if err != nil {
		return fmt.Errorf("run %d statements: %w", batch.Len(), err)
	}
	return nil
}

// drop forgets what was held back.
func (p *pipeline) drop() {
	if p != nil {
		p.pending = pgx.Batch{}
	}
}
