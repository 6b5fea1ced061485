package httpapi

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"greenroom/internal/httpx"
)

//go:embed docs.html
var docsTemplate string

//go:embed docs.css
var docsStyle string

// registerDocs adds the OpenAPI document, and a page made of it on the server: it needs no script and
// nothing from elsewhere.
func registerDocs(mux *http.ServeMux, h huma.API) {
	spec, err := json.MarshalIndent(h.OpenAPI(), "", "  ")
	if err != nil {
		panic(fmt.Sprintf("the OpenAPI document does not marshal: %v", err)) // the same at every start: a fault of ours
	}
	page := renderDocs(h.OpenAPI())
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) { plain(w, "application/openapi+json", string(spec)) })
	mux.HandleFunc("GET /docs", func(w http.ResponseWriter, _ *http.Request) { plain(w, "text/html; charset=utf-8", page) })
	mux.HandleFunc("GET /docs/style.css", func(w http.ResponseWriter, _ *http.Request) { plain(w, "text/css; charset=utf-8", docsStyle) })
}

type docsPage struct {
	Title, Version, About string
	Groups                []docsGroup
	Schemas               []docsSchema
	Problems              []httpx.Kind
}

type docsGroup struct {
	Name  string
	Calls []docsCall
}

type docsCall struct {
	ID, Method, Path, Summary, About string
	Params                           []docsField
	Body                             string // name of the schema, "" for none
	Answers                          []docsAnswer
}

type docsAnswer struct{ Status, About, Schema string }

type docsSchema struct {
	Name   string
	Fields []docsField
}

type docsField struct {
	Name, In, Type, Schema, Bounds, About string
	Required                              bool
}

func renderDocs(spec *huma.OpenAPI) string {
	page := docsPage{Title: spec.Info.Title, Version: spec.Info.Version, About: spec.Info.Description, Problems: httpx.Kinds()}
	for _, tag := range []string{"Organiser", "Participant"} {
		page.Groups = append(page.Groups, docsGroup{Name: tag, Calls: calls(spec, tag)})
	}
	schemas := spec.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		s := schemas[name]
		page.Schemas = append(page.Schemas, docsSchema{Name: shown(name), Fields: fields(s)})
	}
	var out bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsTemplate)).Execute(&out, page); err != nil {
		panic(fmt.Sprintf("the documentation does not render: %v", err)) // as above
	}
	return out.String()
}

func calls(spec *huma.OpenAPI, tag string) []docsCall {
	var out []docsCall
	for path, item := range spec.Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete} {
			if op == nil || !slices.Contains(op.Tags, tag) {
				continue
			}
			c := docsCall{ID: op.OperationID, Method: method, Path: path, Summary: op.Summary, About: op.Description}
			for _, p := range op.Parameters {
				f := field(p.Name, p.Schema, p.Required)
				f.In, f.About = p.In, p.Description
				c.Params = append(c.Params, f)
			}
			if op.RequestBody != nil {
				c.Body = refName(op.RequestBody.Content["application/json"].Schema)
			}
			for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
				c.Answers = append(c.Answers, docsAnswerOf(status, op.Responses[status]))
			}
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b docsCall) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	return out
}

func docsAnswerOf(status string, r *huma.Response) docsAnswer {
	a := docsAnswer{Status: status, About: r.Description}
	for _, media := range r.Content {
		a.Schema = refName(media.Schema)
	}
	return a
}

func fields(s *huma.Schema) []docsField {
	var out []docsField
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		out = append(out, field(name, s.Properties[name], slices.Contains(s.Required, name)))
	}
	return out
}

func field(name string, s *huma.Schema, required bool) docsField {
	f := docsField{Name: name, Required: required, About: s.Description, Type: s.Type, Schema: refName(s)}
	switch {
	case s.Format == "date-time":
		f.Type = "time"
	case s.Type == huma.TypeArray && s.Items != nil:
		f.Type, f.Schema = "list of "+s.Items.Type, refName(s.Items)
	case len(s.AnyOf) > 0:
		f.Type, f.Schema = "null or", refName(s.AnyOf[0])
	}
	if s.Nullable {
		f.Type += " or null"
	}
	f.Bounds = bounds(s)
	return f
}

func bounds(s *huma.Schema) string {
	var out []string
	if len(s.Enum) > 0 {
		out = append(out, "one of "+strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Enum), " ", ", "), "[]"))
	}
	if s.Minimum != nil {
		out = append(out, fmt.Sprintf("at least %v", *s.Minimum))
	}
	if s.Maximum != nil {
		out = append(out, fmt.Sprintf("at most %v", *s.Maximum))
	}
	if s.Default != nil {
		out = append(out, fmt.Sprintf("%v if absent", s.Default))
	}
	words := map[string]string{"minLength": "at least %v characters", "maxLength": "at most %v characters", "minItems": "at least %v", "maxItems": "at most %v", "pattern": "matches %v"}
	for _, bound := range slices.Sorted(maps.Keys(s.Extensions)) {
		out = append(out, fmt.Sprintf(words[bound], s.Extensions[bound]))
	}
	return strings.Join(out, "; ")
}

func refName(s *huma.Schema) string {
	if s == nil || s.Ref == "" {
		return ""
	}
	return shown(s.Ref[strings.LastIndexByte(s.Ref, '/')+1:])
}

// shown is the name of a schema as people read it: huma names that of problems after its own type.
func shown(schema string) string {
	if schema == "ErrorModel" {
		return "Problem"
	}
	return schema
}
