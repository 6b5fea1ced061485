package cloudflare

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// Zone is a zone without records.
type Zone struct{ ID, Name, Status, Account string }

func (s *Server) zoneRoutes() {
	s.Handle("GET /zones", ZoneRead, s.listZones)
	s.Handle("GET /zones/{zone}", ZoneRead, func(w http.ResponseWriter, r *http.Request) {
		for _, z := range s.Others {
			if z.ID == r.PathValue("zone") {
				OK(w, s.shown(z), nil)
				return
			}
		}
		s.inZone(func(w http.ResponseWriter, _ *http.Request) { OK(w, s.shown(s.main()), nil) })(w, r)
	})
}

func (s *Server) main() Zone { return Zone{s.ZoneID, s.Zone, s.Status, "the test's"} }

func (s *Server) shown(z Zone) any {
	return map[string]any{
		"id": z.ID, "name": z.Name, "status": z.Status, "type": "full", "name_servers": []string{"ada.ns.cloudflare.com", "bob.ns.cloudflare.com"},
		"account": map[string]any{"id": "0123456789abcdef0123456789abcdef", "name": z.Account}, "plan": map[string]any{"legacy_id": s.Plan.ID, "name": s.Plan.ID},
	}
}

func (s *Server) listZones(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	page, perPage, err := Paging(q, 5, 50, 20, "name", "status")
	if err != nil {
		Fail(w, http.StatusBadRequest, 1004, "%v", err)
		return
	}
	all := []any{}
	for _, z := range append(slices.Clone(s.Others), s.main()) {
		if is(q.Get("name"), z.Name) && is(q.Get("status"), z.Status) {
			all = append(all, s.shown(z))
		}
	}
	from := min((page-1)*perPage, len(all))
	some := all[from:min(from+perPage, len(all))]
	OK(w, some, &Page{Page: page, PerPage: perPage, Count: len(some), Total: len(all), Pages: (len(all) + perPage - 1) / perPage})
}

// Paging reads page and per_page of a query that may have other keys of the given names, and no more.
func Paging(q url.Values, least, most, otherwise int, names ...string) (page, perPage int, err error) {
	for key, values := range q {
		if len(values) != 1 || key != "page" && key != "per_page" && !slices.Contains(names, key) {
			return 0, 0, fmt.Errorf("the parameter %q is not known, or given more than once", key)
		}
	}
	if page, err = between(q.Get("page"), 1, 1<<30, 1); err == nil {
		perPage, err = between(q.Get("per_page"), least, most, otherwise)
	}
	return page, perPage, err
}

func between(s string, least, most, otherwise int) (int, error) {
	if s == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q is not a number from %d to %d", s, least, most)
	}
	return n, nil
}
