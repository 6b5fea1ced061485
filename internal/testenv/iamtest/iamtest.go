// Package iamtest stands before moto's server and simulates policies, which moto does not: it reads the roles and their
// policies from moto and judges as AWS documents it, as far as greenroom's policies go.
package iamtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
)

// Server answers SimulatePrincipalPolicy by itself and leaves all else to moto.
type Server struct {
	URL    string
	Denies bool // to simulate; set it before the first call
	iam    *iam.Client

	mu    sync.Mutex
	roles map[string][]Statement // what they may, as it was at the first question
}

// Start begins to serve before moto's server at target. cfg reaches moto.
func Start(tb testing.TB, cfg aws.Config) *Server {
	tb.Helper()
	target, err := url.Parse(aws.ToString(cfg.BaseEndpoint))
	if err != nil {
		tb.Fatal(err)
	}
	s := &Server{iam: iam.NewFromConfig(cfg), roles: map[string][]Statement{}}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if form, err := url.ParseQuery(string(text)); err == nil && form.Get("Action") == "SimulatePrincipalPolicy" {
			s.simulate(r.Context(), w, form)
			return
		}
		r.Body = io.NopCloser(strings.NewReader(string(text)))
		proxy.ServeHTTP(w, r)
	}))
	tb.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

func (s *Server) simulate(ctx context.Context, w http.ResponseWriter, form url.Values) {
	w.Header().Set("Content-Type", "text/xml")
	if s.Denies {
		refuse(w, http.StatusForbidden, "AccessDenied", "not authorized to perform: iam:SimulatePrincipalPolicy")
		return
	}
	statements, err := s.statements(ctx, form.Get("PolicySourceArn"))
	if _, none := errors.AsType[*types.NoSuchEntityException](err); none {
		refuse(w, http.StatusNotFound, "NoSuchEntity", err.Error())
		return
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "PolicyEvaluation", err.Error())
		return
	}
	told := map[string]string{}
	for i := 1; form.Get(fmt.Sprintf("ContextEntries.member.%d.ContextKeyName", i)) != ""; i++ {
		entry := fmt.Sprintf("ContextEntries.member.%d.", i)
		told[form.Get(entry+"ContextKeyName")] = form.Get(entry + "ContextKeyValues.member.1")
	}
	var results strings.Builder
	for i := 1; form.Get(fmt.Sprintf("ActionNames.member.%d", i)) != ""; i++ {
		action, decision := form.Get(fmt.Sprintf("ActionNames.member.%d", i)), "implicitDeny"
		if Allowed(statements, action, form.Get("ResourceArns.member.1"), told) {
			decision = "allowed"
		}
		fmt.Fprintf(&results, "<member><EvalActionName>%s</EvalActionName><EvalDecision>%s</EvalDecision></member>", html.EscapeString(action), decision)
	}
	fmt.Fprintf(w, `<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>`+
		`<IsTruncated>false</IsTruncated><EvaluationResults>%s</EvaluationResults></SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>`, results.String())
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`,
		code, html.EscapeString(message))
}

// Statement is one of a policy's, that allows.
type Statement struct {
	Effect           string
	Action, Resource Texts
	Condition        map[string]map[string]Texts
}

// Texts is one text or several.
type Texts []string

// UnmarshalJSON takes both.
func (t *Texts) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = Texts{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// statements reads what the role may.
func (s *Server) statements(ctx context.Context, role string) ([]Statement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.roles[role]; ok {
		return known, nil
	}
	name := aws.String(role[strings.LastIndex(role, "/")+1:])
	names, err := s.iam.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	if err != nil {
		return nil, err
	}
	var out []Statement
	for _, n := range names.PolicyNames {
		policy, err := s.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String(n)})
		if err != nil {
			return nil, err
		}
		text, err := url.QueryUnescape(aws.ToString(policy.PolicyDocument))
		if err != nil {
			return nil, err
		}
		var doc struct{ Statement []Statement }
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			return nil, fmt.Errorf("policy %s: %w", n, err)
		}
		out = append(out, doc.Statement...)
	}
	s.roles[role] = out
	return out, nil
}

// Allowed judges an action on a resource, with what AWS is told about the call. It knows Allow and the conditions that
// greenroom's policies use, and no other.
func Allowed(statements []Statement, action, resource string, told map[string]string) bool {
	return slices.ContainsFunc(statements, func(s Statement) bool {
		return s.Effect == "Allow" && matches(s.Action, action) && matches(s.Resource, resource) && holds(s.Condition, told)
	})
}

func holds(conditions map[string]map[string]Texts, told map[string]string) bool {
	for operator, keys := range conditions {
		operator, ofAll := strings.CutPrefix(operator, "ForAllValues:")
		for key, values := range keys {
			value, known := told[key]
			if !known && ofAll {
				continue
			}
			like := operator == "StringLike" && matches(values, value)
			equal := operator == "StringEquals" && slices.Contains(values, value)
			if !known || !like && !equal {
				return false
			}
		}
	}
	return true
}

// matches reports whether one of the patterns means the text, with * and ? as AWS reads them.
func matches(patterns []string, text string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		p = strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p))
		return regexp.MustCompile("^" + p + "$").MatchString(text)
	})
}
