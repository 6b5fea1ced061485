package sqlstore

import (
	"testing"

	"greenroom"
)

func rev(id string, n int64) greenroom.Meeting { return greenroom.Meeting{ID: id, Rev: n} }

// holds fails unless the cache has that revision; 0 is none.
func holds(t *testing.T, c *cache, id string, want int64) {
	t.Helper()
	if m, _, ok := c.get(id); m.Rev != want || ok != (want != 0) {
		t.Errorf("the cache has revision %d of %s, want %d", m.Rev, id, want)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()

	t.Run("KeepsWhatAReaderFound", func(t *testing.T) {
		t.Parallel()
		c := newCache(10)
		_, ticket, _ := c.get("a")
		c.fill(rev("a", 1), ticket)
		holds(t, c, "a", 1)
	})

	t.Run("DropsWhatAReaderFoundBeforeACommit", func(t *testing.T) {
		t.Parallel()
		c := newCache(1)
		_, ticket, _ := c.get("a")
		c.committed([]greenroom.Meeting{rev("a", 2)})
		c.committed([]greenroom.Meeting{rev("b", 1)}) // and a is pushed out
		c.fill(rev("a", 1), ticket)
		holds(t, c, "a", 0)
	})

	t.Run("CommitReplaces", func(t *testing.T) {
		t.Parallel()
		c := newCache(10)
		_, ticket, _ := c.get("a")
		c.fill(rev("a", 1), ticket)
		c.committed([]greenroom.Meeting{rev("a", 2), rev("a", 3)})
		holds(t, c, "a", 3)
	})

	t.Run("DoubtDrops", func(t *testing.T) {
		t.Parallel()
		c := newCache(10)
		c.committed([]greenroom.Meeting{rev("a", 1), rev("b", 1)})
		_, ticket, _ := c.get("c")
		c.doubted([]greenroom.Meeting{rev("a", 2), rev("c", 1)})
		c.fill(rev("c", 1), ticket)
		holds(t, c, "a", 0)
		holds(t, c, "b", 1)
		holds(t, c, "c", 0)
	})

	t.Run("ForgetsTheLeastUsed", func(t *testing.T) {
		t.Parallel()
		c := newCache(2)
		c.committed([]greenroom.Meeting{rev("a", 1), rev("b", 1)})
		holds(t, c, "a", 1)
		c.committed([]greenroom.Meeting{rev("c", 1)})
		holds(t, c, "a", 1)
		holds(t, c, "b", 0)
		holds(t, c, "c", 1)
		if len(c.items) != 2 || c.order.Len() != 2 {
			t.Errorf("it holds %d meetings in %d places", len(c.items), c.order.Len())
		}
	})
}
