// Package ec2test is a strict stand-in for EC2 with faults on demand: it keeps what other stand-ins do not, such as client
// tokens and what they are bound to, token buckets, and looks that lag behind. It answers over HTTP, and also without a network
// as an HTTPClient of the SDK, so that it can live in fake time.
package ec2test

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Image, Subnets and Group are what exists from the beginning, in Account.
const (
	Account = "123456789012"
	Image   = "ami-0123456789abcdef0"
	SubnetA = "subnet-0aaaaaaaaaaaaaaaa"
	SubnetB = "subnet-0bbbbbbbbbbbbbbbb"
	Group   = "sg-0123456789abcdef0"
)

// Documented are the buckets of an ordinary account.
func Documented() map[string]Bucket {
	return map[string]Bucket{
		"RunInstances": {5, 2}, "RunInstances/resources": {1000, 2}, "TerminateInstances": {100, 5}, "TerminateInstances/resources": {1000, 20},
		"DescribeInstances": {100, 20}, "DescribeImages": {100, 20},
	}
}

// Bucket is a token bucket: Size at first and at most, PerSecond more at every whole second. The zero Bucket has no bound.
type Bucket struct{ Size, PerSecond int }

// Server is one account in one region. Its fields are set before its first use.
type Server struct {
	Latency time.Duration            // of each call
	Boot    time.Duration            // from launch to running
	Lag     time.Duration            // looks show machines as they were so long ago, and new ones at some time within it
	Remains time.Duration            // that a terminated machine stays visible; zero is an hour
	Page    int                      // most instances of one answer; zero is as many as asked for
	Buckets map[string]Bucket        // by action; with "/resources" after it, for what the action is about
	Zones   map[string]string        // zone of each subnet; nil is a and b
	Phase   time.Duration            // when in a second buckets are filled
	Quotas  map[string]int           // virtual CPUs of machines that live, by family of types (see Family); without one there is no bound
	Guarded bool                     // the launch template protects machines against termination
	Fault   func(Call) (Fault, bool) // asked before every call; nil: no faults
	Public  func(number int) string  // public address of the machine with that number, from 1; nil is one that nobody has

	mu        sync.Mutex
	rng       *rand.Rand
	began     time.Time
	tokens    map[string]reservation // by token and zone
	instances []*instance
	levels    map[string]*level
	calls     map[string]int
	throttled int
}

// Call is what a fault is decided on.
type Call struct {
	Action string
	Type   string
	Subnet string
	N      int // of this action, from 1
}

// Fault is how a call fails.
type Fault struct {
	Code    string // the error that is answered
	Message string // of it; empty is some
	Status  int    // of it; zero is 400
	Lost    bool   // the call is carried out, and the answer never comes
	Partial bool   // the answer leaves the last machine out
}

type reservation struct {
	parameters string
	instances  []*instance
}

type instance struct {
	id, reservation, zone, image, kind, token, subnet string
	index                                             int
	number                                            int
	public, guarded                                   bool
	tags                                              map[string]string
	userData                                          []byte
	launched                                          time.Time
	visible                                           time.Time
	ended                                             time.Time // zero while it lives
	reason                                            Reason    // of its end
}

// Machine is what a test wants to know of one.
type Machine struct {
	ID, Subnet, Type, Token string
	Tags                    map[string]string
	UserData                []byte
	Live                    bool
	Launched                time.Time
	Index                   int
	State                   string
	Address                 string // public; empty if it has none
}

// Machines lists all that were ever launched.
func (s *Server) Machines() []Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Machine
	for _, i := range s.instances {
		out = append(out, Machine{i.id, i.subnet, i.kind, i.token, i.tags, i.userData, i.ended.IsZero(), i.launched, i.index, s.state(i, time.Now()), s.address(i)})
	}
	return out
}

// Add puts a machine there that was not launched by the tested code.
func (s *Server) Add(tags map[string]string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	return s.add(&instance{tags: tags, image: Image, kind: "t3.large", zone: "a", reservation: "r-foreign"}).id
}

// Calls counts the calls of an action, and of all for "".
func (s *Server) Calls(action string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[action]
}

// Throttled counts the calls that were one too many.
func (s *Server) Throttled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.throttled
}

// Quiet ends all faults.
func (s *Server) Quiet() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Fault = nil
}

func (s *Server) init() {
	if s.tokens != nil {
		return
	}
	s.rng, s.began = rand.New(rand.NewPCG(1, 2)), time.Now().Add(-s.Phase)
	s.tokens, s.levels, s.calls = map[string]reservation{}, map[string]*level{}, map[string]int{}
	if s.Zones == nil {
		s.Zones = map[string]string{SubnetA: "a", SubnetB: "b"}
	}
	if s.Remains == 0 {
		s.Remains = time.Hour
	}
}

// apiError is an error as EC2 answers it.
type apiError struct {
	code, message string
	status        int
}

func refuse(code, format string, args ...any) *apiError {
	return &apiError{code, fmt.Sprintf(format, args...), http.StatusBadRequest}
}

// Do answers without a network.
func (s *Server) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	sleep := func(d time.Duration) error {
		if d == 0 {
			return nil
		}
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
			return nil
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
	if err := sleep(s.Latency / 2); err != nil {
		return nil, err
	}
	status, text, lost := s.answer(form)
	if err := sleep(s.Latency / 2); err != nil {
		return nil, err
	}
	if lost {
		return nil, io.ErrUnexpectedEOF
	}
	return &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// ServeHTTP answers over a network.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.Do(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

func (s *Server) answer(form url.Values) (status int, body string, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	action := form.Get("Action")
	s.calls[action]++
	s.calls[""]++
	var fault Fault
	if s.Fault != nil {
		if f, ok := s.Fault(Call{action, form.Get("InstanceType"), form.Get("NetworkInterface.1.SubnetId"), s.calls[action]}); ok {
			fault = f
		}
	}
	text, refused := "", (*apiError)(nil)
	switch {
	case fault.Code != "":
		refused = &apiError{fault.Code, cmp.Or(fault.Message, "as the test wants it"), max(fault.Status, http.StatusBadRequest)}
	default:
		text, refused = s.act(action, form, fault)
	}
	if refused != nil {
		if refused.code == "RequestLimitExceeded" {
			s.throttled++
		}
		return refused.status, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>r-1</RequestID></Response>`,
			refused.code, escape(refused.message)), fault.Lost
	}
	return http.StatusOK, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><%[1]sResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId>%[2]s</%[1]sResponse>`, action, text), fault.Lost
}

func (s *Server) act(action string, form url.Values, fault Fault) (string, *apiError) {
	if e := s.spend(action, 1); e != nil {
		return "", e
	}
	if form.Get("DryRun") == "true" {
		return "", &apiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", http.StatusPreconditionFailed}
	}
	switch action {
	case "RunInstances":
		return s.run(form, fault)
	case "DescribeInstances":
		return s.describe(form)
	case "TerminateInstances":
		return s.terminate(form)
	case "DescribeImages":
		if id := form.Get("ImageId.1"); id != Image {
			return "", refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
		}
		return "<imagesSet><item><imageId>" + Image + "</imageId><rootDeviceName>/dev/sda1</rootDeviceName><architecture>x86_64</architecture></item></imagesSet>", nil
	}
	return "", refuse("InvalidAction", "The action %s is not valid for this web service.", action)
}

// level is a bucket's tokens at the last filling.
type level struct {
	tokens int
	filled int64 // whole seconds since the beginning
}

// spend takes n tokens of an action's bucket.
func (s *Server) spend(name string, n int) *apiError {
	b := s.Buckets[name]
	if b.Size == 0 {
		return nil
	}
	now := int64(time.Since(s.began) / time.Second)
	l := s.levels[name]
	if l == nil {
		l = &level{b.Size, now}
		s.levels[name] = l
	}
	l.tokens, l.filled = min(b.Size, l.tokens+int(now-l.filled)*b.PerSecond), now
	if l.tokens < n {
		return &apiError{"RequestLimitExceeded", "Request limit exceeded.", http.StatusServiceUnavailable}
	}
	l.tokens -= n
	return nil
}

func (s *Server) run(form url.Values, fault Fault) (string, *apiError) {
	n, _ := strconv.Atoi(form.Get("MinCount"))
	subnet, token := form.Get("NetworkInterface.1.SubnetId"), form.Get("ClientToken")
	zone, known := s.Zones[subnet]
	userData, err := base64.StdEncoding.DecodeString(form.Get("UserData"))
	switch {
	case form.Get("ImageId") != Image:
		return "", refuse("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", form.Get("ImageId"))
	case !known:
		return "", refuse("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", subnet)
	case n < 1 || form.Get("MaxCount") != form.Get("MinCount"):
		return "", refuse("InvalidParameterValue", "MinCount and MaxCount")
	case token == "" || len(token) > 64:
		return "", refuse("InvalidParameterValue", "ClientToken")
	case err != nil || len(userData) > 16384:
		return "", refuse("InvalidUserData.Malformed", "user data")
	case form.Get("MetadataOptions.HttpTokens") != "required" || form.Get("InstanceInitiatedShutdownBehavior") != "terminate":
		return "", refuse("InvalidParameterValue", "these machines are to be closed ones")
	case form.Get("BlockDeviceMapping.1.DeviceName") != "/dev/sda1" || form.Get("BlockDeviceMapping.1.Ebs.DeleteOnTermination") != "true":
		return "", refuse("InvalidBlockDeviceMapping", "the disk is to go with the machine")
	}
	parameters := form.Encode()
	if before, ok := s.tokens[token+" "+zone]; ok {
		if before.parameters != parameters {
			return "", refuse("IdempotentParameterMismatch", "The client token was used with other parameters.")
		}
		return s.reservation(before.instances, fault.Partial), nil
	}
	if e := s.room(form.Get("InstanceType"), n); e != nil {
		return "", e
	}
	if e := s.spend("RunInstances/resources", n); e != nil {
		return "", e
	}
	r := reservation{parameters: parameters}
	id := fmt.Sprintf("r-%017x", len(s.tokens)+1)
	for index := range n {
		r.instances = append(r.instances, s.add(&instance{reservation: id, zone: zone, image: Image, kind: form.Get("InstanceType"), token: token, subnet: subnet, index: index,
			tags: tags(form), userData: userData, public: form.Get("NetworkInterface.1.AssociatePublicIpAddress") == "true",
			guarded: s.Guarded && form.Get("DisableApiTermination") != "false"}))
	}
	s.tokens[token+" "+zone] = r
	return s.reservation(r.instances, fault.Partial), nil
}

func (s *Server) add(i *instance) *instance {
	var random [9]byte
	for at := range random {
		random[at] = byte(s.rng.UintN(256))
	}
	i.id, i.number, i.launched = "i-"+hex.EncodeToString(random[:])[:17], len(s.instances)+1, time.Now()
	i.visible = i.launched
	if s.Lag > 0 {
		i.visible = i.launched.Add(time.Duration(s.rng.Int64N(int64(s.Lag))))
	}
	s.instances = append(s.instances, i)
	return i
}

func (s *Server) terminate(form url.Values) (string, *apiError) {
	ids := list(form, "InstanceId")
	if e := s.spend("TerminateInstances/resources", len(ids)); e != nil {
		return "", e
	}
	var missing []string
	for _, id := range ids {
		if s.find(id) == nil {
			missing = append(missing, id)
		}
	}
	switch {
	case len(missing) == 1:
		return "", refuse("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", missing[0])
	case len(missing) > 1:
		return "", refuse("InvalidInstanceID.NotFound", "The instance IDs '%s' do not exist", strings.Join(missing, ", "))
	case len(ids) > 1000:
		return "", refuse("InvalidParameterValue", "too many ids")
	}
	if guarded := s.end(ids); guarded != "" {
		return "", refuse("OperationNotPermitted", "The instance '%s' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.", guarded)
	}
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, "<item><instanceId>%s</instanceId><currentState><code>32</code><name>shutting-down</name></currentState></item>", id)
	}
	return "<instancesSet>" + b.String() + "</instancesSet>", nil
}

// end lets machines go, but those of a zone in which one is protected against termination, whose id it gives.
func (s *Server) end(ids []string) (guarded string) {
	held := map[string]bool{}
	for _, id := range ids {
		if i := s.find(id); i.guarded && i.ended.IsZero() {
			held[i.zone], guarded = true, id
		}
	}
	for _, id := range ids {
		if i := s.find(id); i.ended.IsZero() && !held[i.zone] {
			i.ended = time.Now()
			i.reason = Reason{"Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown"}
		}
	}
	return guarded
}

// Protect switches the protection of a machine against termination, as somebody in the console does.
func (s *Server) Protect(id string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.find(id).guarded = on
}

// Reason is why a machine's state changed last.
type Reason struct{ Code, Message string }

// Kill ends a machine by itself, for that reason.
func (s *Server) Kill(id string, why Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(id); i.ended.IsZero() {
		i.ended, i.reason = time.Now(), why
	}
}

// find gives a machine that EC2 still remembers.
func (s *Server) find(id string) *instance {
	at := slices.IndexFunc(s.instances, func(i *instance) bool {
		return i.id == id && (i.ended.IsZero() || time.Since(i.ended) < s.Remains)
	})
	if at < 0 {
		return nil
	}
	return s.instances[at]
}
