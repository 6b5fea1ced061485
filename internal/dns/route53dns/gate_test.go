package route53dns_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// gate judges changes as Route 53 documents it, before moto, which lets pass what Amazon refuses: a CREATE of what exists, a
// DELETE that does not name exactly what is there, and batches beyond the limits.
type gate struct {
	mu   sync.Mutex
	sets map[string]recordSet // by name and type
}

type recordSet struct {
	Name   string   `xml:"Name"`
	Type   string   `xml:"Type"`
	TTL    int      `xml:"TTL"`
	Values []string `xml:"ResourceRecords>ResourceRecord>Value"`
}

type changeRequest struct {
	Changes []struct {
		Action string    `xml:"Action"`
		Set    recordSet `xml:"ResourceRecordSet"`
	} `xml:"ChangeBatch>Changes>Change"`
}

// lets reports whether moto may do it, and answers if not.
func (g *gate) lets(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodPost || !strings.HasSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/rrset") {
		return true
	}
	body, err := io.ReadAll(r.Body)
	var in changeRequest
	if err == nil {
		err = xml.Unmarshal(body, &in)
	}
	if err != nil || !g.apply(in) {
		awsError(w, http.StatusBadRequest, "InvalidChangeBatch")
		return false
	}
	body = bytes.ReplaceAll(body, []byte("<Action>CREATE</Action>"), []byte("<Action>UPSERT</Action>")) // what was judged need not be judged again
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return true
}

func (g *gate) apply(in changeRequest) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	sets := maps.Clone(g.sets)
	if sets == nil {
		sets = map[string]recordSet{}
	}
	count, chars := 0, 0
	for _, c := range in.Changes {
		weight := 1
		if c.Action == "UPSERT" {
			weight = 2
		}
		count += weight
		for _, v := range c.Set.Values {
			chars += weight * len(v)
		}
		key := c.Set.Name + " " + c.Set.Type
		there, exists := sets[key]
		same := exists && there.TTL == c.Set.TTL && slices.Equal(slices.Sorted(slices.Values(there.Values)), slices.Sorted(slices.Values(c.Set.Values)))
		switch {
		case c.Action == "CREATE" && exists, c.Action == "DELETE" && !same:
			return false
		case c.Action == "DELETE":
			delete(sets, key)
		default:
			sets[key] = c.Set
		}
	}
	if len(in.Changes) == 0 || count > 1000 || chars > 32_000 {
		return false
	}
	g.sets = sets
	return true
}
