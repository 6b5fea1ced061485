package cloudflare

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// maxPage is the most records of a page.
const maxPage = 5000

func (s *Server) recordRoutes() {
	s.Handle("GET /zones/{zone}/dns_records", DNSEdit, s.inZone(s.list))
	s.Handle("POST /zones/{zone}/dns_records/batch", DNSEdit, s.inZone(s.batch))
	s.Handle("POST /zones/{zone}/dns_records", DNSEdit, s.inZone(func(w http.ResponseWriter, r *http.Request) {
		s.single(w, r, batch{Posts: make([]patch, 1)})
	}))
	s.Handle("PATCH /zones/{zone}/dns_records/{id}", DNSEdit, s.inZone(func(w http.ResponseWriter, r *http.Request) {
		s.single(w, r, batch{Patches: make([]patch, 1)})
	}))
	s.Handle("PUT /zones/{zone}/dns_records/{id}", DNSEdit, s.inZone(func(w http.ResponseWriter, r *http.Request) {
		s.single(w, r, batch{Puts: make([]patch, 1)})
	}))
	s.Handle("DELETE /zones/{zone}/dns_records/{id}", DNSEdit, s.inZone(func(w http.ResponseWriter, r *http.Request) {
		s.single(w, r, batch{Deletes: make([]patch, 1)})
	}))
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, perPage, err := Paging(q, 1, 5_000_000, 100, "type", "name.exact", "name.endswith", "comment.exact", "content.exact")
	if err != nil {
		Fail(w, http.StatusBadRequest, 1004, "DNS Validation Error: %v", err)
		return
	}
	perPage = min(perPage, s.PageSize)
	var all []Record
	for _, one := range s.Records() {
		if is(q.Get("type"), one.Type) && is(q.Get("name.exact"), one.Name) && strings.HasSuffix(one.Name, q.Get("name.endswith")) && is(q.Get("comment.exact"), one.Comment) && is(q.Get("content.exact"), one.Content) {
			all = append(all, one)
		}
	}
	from := min((page-1)*perPage, len(all))
	some := append([]Record{}, all[from:min(from+perPage, len(all))]...)
	OK(w, some, &Page{Page: page, PerPage: perPage, Count: len(some), Total: len(all), Pages: (len(all) + perPage - 1) / perPage})
}

func is(wanted, got string) bool { return wanted == "" || wanted == got }

// patch is a record of which some may be missing.
type patch struct {
	ID      string    `json:"id"`
	Name    *string   `json:"name"`
	Type    *string   `json:"type"`
	Content *string   `json:"content"`
	TTL     *int      `json:"ttl"`
	Proxied *bool     `json:"proxied"`
	Comment *string   `json:"comment"`
	Tags    *[]string `json:"tags"`
}

type batch struct {
	Deletes []patch `json:"deletes"`
	Patches []patch `json:"patches"`
	Puts    []patch `json:"puts"`
	Posts   []patch `json:"posts"`
}

// fault is an error of the API.
type fault struct {
	code    int
	message string
}

func (f *fault) Error() string { return f.message }

func failf(code int, format string, args ...any) error {
	return &fault{code, fmt.Sprintf(format, args...)}
}

func (s *Server) batch(w http.ResponseWriter, r *http.Request) {
	var b batch
	if err := decode(r, &b); err != nil {
		Fail(w, http.StatusBadRequest, 9207, "Request body is invalid: %v", err)
		return
	}
	if n := len(b.Deletes) + len(b.Patches) + len(b.Puts) + len(b.Posts); n == 0 || n > s.Plan.Batch {
		Fail(w, http.StatusBadRequest, 1004, "DNS Validation Error: a batch has 1 to %d operations, not %d", s.Plan.Batch, n)
		return
	}
	done, err := s.apply(b)
	if err != nil {
		refuse(w, err)
		return
	}
	OK(w, done, nil)
}

func (s *Server) single(w http.ResponseWriter, r *http.Request, b batch) {
	for _, list := range [][]patch{b.Deletes, b.Patches, b.Puts, b.Posts} {
		if len(list) == 0 {
			continue
		}
		if r.Method != http.MethodDelete {
			if err := decode(r, &list[0]); err != nil {
				Fail(w, http.StatusBadRequest, 9207, "Request body is invalid: %v", err)
				return
			}
		}
		list[0].ID = r.PathValue("id")
	}
	done, err := s.apply(b)
	if err != nil {
		refuse(w, err)
		return
	}
	for _, list := range done {
		if len(list) == 1 {
			OK(w, list[0], nil)
		}
	}
}

// decode reads a body of JSON with known fields alone.
func decode(r *http.Request, into any) error {
	if t := r.Header.Get("Content-Type"); t != "application/json" {
		return fmt.Errorf("the content type is %q", t)
	}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("more than one value")
	}
	return nil
}

func refuse(w http.ResponseWriter, err error) {
	f := err.(*fault)
	status := http.StatusBadRequest
	if f.code == 81044 {
		status = http.StatusNotFound
	}
	Fail(w, status, f.code, "%s", f.message)
}

// apply makes all the changes or none, in the documented order.
func (s *Server) apply(b batch) (map[string][]Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	z := change{s, slices.Clone(s.records)}
	done := map[string][]Record{}
	for _, step := range []struct {
		name string
		list []patch
		do   func(patch) (Record, error)
	}{{"deletes", b.Deletes, z.remove}, {"patches", b.Patches, z.patch}, {"puts", b.Puts, z.put}, {"posts", b.Posts, z.post}} {
		done[step.name] = []Record{}
		for _, p := range step.list {
			r, err := step.do(p)
			if err != nil {
				return nil, err
			}
			done[step.name] = append(done[step.name], r)
		}
	}
	s.records = z.records
	return done, nil
}

// change is the zone while it is being changed.
type change struct {
	*Server
	records []Record
}

func (z *change) find(id string) (int, error) {
	i := slices.IndexFunc(z.records, func(r Record) bool { return r.ID == id })
	if i < 0 {
		return i, failf(81044, "Record does not exist.")
	}
	return i, nil
}

func (z *change) remove(p patch) (Record, error) {
	if p.Name != nil || p.Type != nil || p.Content != nil || p.TTL != nil || p.Proxied != nil || p.Comment != nil || p.Tags != nil {
		return Record{}, failf(9207, "Request body is invalid: a record is deleted by its id alone.")
	}
	i, err := z.find(p.ID)
	if err != nil {
		return Record{}, err
	}
	r := z.records[i]
	z.records = slices.Delete(z.records, i, i+1)
	return r, nil
}

func (z *change) patch(p patch) (Record, error) {
	i, err := z.find(p.ID)
	if err != nil {
		return Record{}, err
	}
	r := merged(z.records[i], p)
	if err := z.check(r); err != nil {
		return Record{}, err
	}
	z.records[i] = r
	return r, nil
}

func (z *change) put(p patch) (Record, error) {
	i, err := z.find(p.ID)
	if err != nil {
		return Record{}, err
	}
	r := merged(Record{ID: p.ID, TTL: 1, Tags: []string{}}, p)
	if err := z.check(r); err != nil {
		return Record{}, err
	}
	z.records[i] = r
	return r, nil
}

func (z *change) post(p patch) (Record, error) {
	if p.Name == nil || p.Type == nil || p.TTL == nil {
		return Record{}, failf(9000, "DNS name, type and ttl are required")
	}
	r := merged(Record{ID: id(), Tags: []string{}}, p)
	if err := z.check(r); err != nil {
		return Record{}, err
	}
	if len(z.records) >= z.Plan.Records {
		return Record{}, failf(81045, "Record quota exceeded.")
	}
	z.records = append(z.records, r)
	return r, nil
}

func merged(r Record, p patch) Record {
	set(&r.Name, p.Name)
	set(&r.Type, p.Type)
	set(&r.Content, p.Content)
	set(&r.TTL, p.TTL)
	set(&r.Proxied, p.Proxied)
	set(&r.Comment, p.Comment)
	set(&r.Tags, p.Tags)
	r.Name = strings.ToLower(r.Name)
	if r.Proxied {
		r.TTL = 1
	}
	return r
}

func set[T any](at *T, v *T) {
	if v != nil {
		*at = *v
	}
}

func (z *change) check(r Record) error {
	least := 60
	if z.Plan.ID == Enterprise.ID {
		least = 30
	}
	if r.Name != z.Zone && !strings.HasSuffix(r.Name, "."+z.Zone) {
		return failf(9000, "%s is not within %s", r.Name, z.Zone)
	}
	if r.TTL != 1 && (r.TTL < least || r.TTL > 86400) {
		return failf(9021, "Invalid TTL. Must be between %d and 86400 seconds, or 1 for automatic.", least)
	}
	if a, err := netip.ParseAddr(r.Content); r.Type == "A" && (err != nil || !a.Is4()) {
		return failf(9005, "Content for A record must be a valid IPv4 address.")
	} else if r.Type == "A" && r.Proxied && (a.IsLoopback() || a.IsPrivate()) {
		return failf(9003, "Target %s is not allowed for a proxied record.", r.Content)
	}
	if r.Type == "TXT" && r.Proxied {
		return failf(9004, "This record type cannot be proxied.")
	}
	if len(r.Comment) > z.Plan.Comment {
		return failf(1004, "DNS Validation Error: the comment is longer than %d characters", z.Plan.Comment)
	}
	if len(r.Tags) > z.Plan.Tags {
		return failf(9300, "DNS record has %d tags, exceeding the quota of %d.", len(r.Tags), z.Plan.Tags)
	}
	for _, o := range z.records {
		switch {
		case o.ID == r.ID || o.Name != r.Name:
		case o.Type == r.Type && o.Content == r.Content:
			return failf(81058, "An identical record already exists.")
		case (o.Type == "CNAME") != (r.Type == "CNAME"), o.Type == "CNAME" && r.Type == "CNAME":
			return failf(81053, "An A, AAAA, or CNAME record with that host already exists.")
		}
	}
	return nil
}
