package sqlstore

import "database/sql"

// DB is the one connection that writes: while a test uses it, everybody's writes wait.
func (s *Store) DB() *sql.DB { return s.writer }
