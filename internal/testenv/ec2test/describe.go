package ec2test

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shutdown is how long a machine takes to be gone.
const shutdown = 2 * time.Second

func (s *Server) describe(form url.Values) (string, *apiError) {
	if form.Get("InstanceId.1") != "" && form.Get("MaxResults") != "" {
		return "", refuse("InvalidParameterCombination", "The parameter instancesSet cannot be used with the parameter maxResults")
	}
	if form.Get("Filter.1.Name") == "" || form.Get("MaxResults") == "" {
		return "", refuse("InvalidParameterValue", "looks without filter and page have a small bucket")
	}
	asked, e := filters(form)
	if e != nil {
		return "", e
	}
	size, _ := strconv.Atoi(form.Get("MaxResults"))
	if s.Page > 0 {
		size = min(size, s.Page)
	}
	start, _ := strconv.Atoi(form.Get("NextToken")) // the number of the next machine: pages stay where they are when others go
	var b strings.Builder
	found, next := 0, ""
	for _, i := range s.instances[min(max(start-1, 0), len(s.instances)):] {
		if !s.shown(i) || slices.ContainsFunc(asked, func(w wanted) bool { return !w.match(i) }) {
			continue
		}
		if found == size {
			next = fmt.Sprintf("<nextToken>%d</nextToken>", i.number)
			break
		}
		found++
		fmt.Fprintf(&b, "<item><reservationId>%s</reservationId><ownerId>%s</ownerId><instancesSet>%s</instancesSet></item>", i.reservation, Account, s.item(i, s.late()))
	}
	return "<reservationSet>" + b.String() + "</reservationSet>" + next, nil
}

// shown reports whether a look sees the machine: not at once after its launch, and its tags fade before it does.
func (s *Server) shown(i *instance) bool {
	return !time.Now().Before(i.visible) && (i.ended.IsZero() || time.Since(i.ended) < s.Remains*9/10)
}

// late is the instant that a look shows.
func (s *Server) late() time.Time { return time.Now().Add(-s.Lag) }

// wanted is one filter of a look.
type wanted struct {
	name   string
	values map[string]bool
}

func filters(form url.Values) ([]wanted, *apiError) {
	var out []wanted
	for n := 1; form.Has(fmt.Sprintf("Filter.%d.Name", n)); n++ {
		w := wanted{form.Get(fmt.Sprintf("Filter.%d.Name", n)), map[string]bool{}}
		for _, v := range list(form, fmt.Sprintf("Filter.%d.Value", n)) {
			w.values[v] = true
		}
		switch {
		case len(w.values) > 200:
			return nil, refuse("FilterLimitExceeded", "too many values")
		case !strings.HasPrefix(w.name, "tag:") && w.name != "client-token" && w.name != "instance-id":
			return nil, refuse("InvalidParameterValue", "The filter '%s' is invalid", w.name)
		}
		out = append(out, w)
	}
	return out, nil
}

func (w wanted) match(i *instance) bool {
	switch w.name {
	case "client-token":
		return w.values[i.token]
	case "instance-id":
		return w.values[i.id]
	}
	value, ok := i.tags[w.name[len("tag:"):]]
	return ok && w.values[value]
}

func (s *Server) reservation(instances []*instance, partial bool) string {
	var b strings.Builder
	for n, i := range instances {
		if !partial || n < len(instances)-1 {
			b.WriteString(s.item(i, time.Now()))
		}
	}
	return "<reservationId>" + instances[0].reservation + "</reservationId><ownerId>" + Account + "</ownerId><instancesSet>" + b.String() + "</instancesSet>"
}

// counts reports whether the machine counts for its quota.
func (s *Server) counts(i *instance) bool { return s.state(i, time.Now()) != "terminated" }

// state is that of a machine at an instant.
func (s *Server) state(i *instance, at time.Time) string {
	switch {
	case !i.ended.IsZero() && !at.Before(i.ended.Add(shutdown)):
		return "terminated"
	case !i.ended.IsZero() && !at.Before(i.ended):
		return "shutting-down"
	case at.Sub(i.launched) >= s.Boot:
		return "running"
	}
	return "pending"
}

var codes = map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48}

func (s *Server) address(i *instance) string {
	if s.Public != nil {
		return s.Public(i.number)
	}
	return fmt.Sprintf("203.%d.%d.%d", i.number>>16&255, i.number>>8&255, i.number&255)
}

func (s *Server) item(i *instance, at time.Time) string {
	state := s.state(i, at)
	var b strings.Builder
	fmt.Fprintf(&b, "<item><instanceId>%s</instanceId><imageId>%s</imageId><instanceState><code>%d</code><name>%s</name></instanceState><amiLaunchIndex>%d</amiLaunchIndex><clientToken>%s</clientToken>"+
		"<instanceType>%s</instanceType><launchTime>%s</launchTime><privateIpAddress>10.%d.%d.%d</privateIpAddress>",
		i.id, i.image, codes[state], state, i.index, i.token, i.kind, i.launched.UTC().Format("2006-01-02T15:04:05.000Z"), i.number>>16&255, i.number>>8&255, i.number&255)
	if i.public && state == "running" {
		fmt.Fprintf(&b, "<ipAddress>%s</ipAddress>", s.address(i))
	}
	if state == "shutting-down" || state == "terminated" {
		fmt.Fprintf(&b, "<stateReason><code>%s</code><message>%s</message></stateReason>", escape(i.reason.Code), escape(i.reason.Message))
	}
	if i.subnet != "" {
		fmt.Fprintf(&b, "<subnetId>%s</subnetId>", i.subnet)
	}
	b.WriteString("<tagSet>")
	for k, v := range i.tags {
		fmt.Fprintf(&b, "<item><key>%s</key><value>%s</value></item>", escape(k), escape(v))
	}
	b.WriteString("</tagSet></item>")
	return b.String()
}

// list reads name.1, name.2 and so on.
func list(form url.Values, name string) []string {
	var out []string
	for n := 1; form.Has(fmt.Sprintf("%s.%d", name, n)); n++ {
		out = append(out, form.Get(fmt.Sprintf("%s.%d", name, n)))
	}
	return out
}

// tags are those of the machines; the disks' must be the same.
func tags(form url.Values) map[string]string {
	out := map[string]string{}
	for n := 1; form.Has(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", n)); n++ {
		out[form.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Key", n))] = form.Get(fmt.Sprintf("TagSpecification.1.Tag.%d.Value", n))
	}
	return out
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}
