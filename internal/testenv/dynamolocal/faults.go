package dynamolocal

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Fault is what happens to one request on its way.
type Fault struct {
	Lost   bool   // it is not answered: the connection ends
	Done   bool   // it is passed on first, so that only its answer is lost
	Status int    // it is answered with this and Code
	Code   string // an error of DynamoDB's
	Text   string // and its message
	Reason string // why a transaction was cancelled, for its first item
	Later  bool   // a batch is answered with all of it being left for later; nothing else meets a fault
}

// Faults to choose from.
var (
	None          = Fault{}
	RequestLost   = Fault{Lost: true}
	AnswerLost    = Fault{Lost: true, Done: true}
	ServerError   = Fault{Status: 500, Code: "InternalServerError"}
	ErrorAfterAll = Fault{Status: 500, Code: "InternalServerError", Done: true}
	Throttled     = Fault{Status: 400, Code: "ThrottlingException", Text: "Rate exceeded"}
	Later         = Fault{Later: true}
)

// Proxy starts a server before the one at url, and returns its URL. choose decides on each request, by its operation, such
// as "PutItem"; it is called from many goroutines.
func Proxy(tb testing.TB, url string, choose func(operation string) Fault) string {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		f := choose(operation)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		var answer *http.Response
		if f.Later && !strings.HasPrefix(operation, "Batch") {
			f = None
		}
		if f == None || f.Done {
			// What is done here is done, also for a client who has given up.
			on, _ := http.NewRequest(r.Method, url+r.URL.Path, bytes.NewReader(body))
			on.Header = r.Header.Clone()
			if answer, err = http.DefaultTransport.RoundTrip(on); err != nil {
				panic(http.ErrAbortHandler)
			}
			defer answer.Body.Close()
			if body, err = io.ReadAll(answer.Body); err != nil {
				panic(http.ErrAbortHandler)
			}
		}
		switch {
		case f.Lost:
			panic(http.ErrAbortHandler)
		case f.Later:
			var asked struct{ RequestItems json.RawMessage }
			json.Unmarshal(body, &asked)
			writeJSON(w, http.StatusOK, map[string]any{"Responses": map[string]any{}, "UnprocessedItems": asked.RequestItems, "UnprocessedKeys": asked.RequestItems})
		case f != None:
			said := map[string]any{"__type": "com.amazonaws.dynamodb.v20120810#" + f.Code, "message": f.Text}
			if f.Reason != "" {
				said["CancellationReasons"] = []map[string]string{{"Code": f.Reason}, {"Code": "None"}}
			}
			writeJSON(w, f.Status, said)
		default:
			for name, values := range answer.Header {
				w.Header()[name] = values
			}
			w.WriteHeader(answer.StatusCode)
			w.Write(body)
		}
	}))
	tb.Cleanup(s.Close)
	return s.URL
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
