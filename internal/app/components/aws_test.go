package components_test

import (
	"context"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/app/lambda"
	"greenroom/internal/app/server"
	"greenroom/internal/compute/ec2compute"
	"greenroom/internal/config"
)

// refusing is AWS: it knows who asks and does nothing else. It notes in which region each service was asked, and by which agents.
type refusing struct {
	mu      sync.Mutex
	regions map[string]map[string]bool // by service
	strange []string                   // agents that did not say that they are greenroom
}

var scope = regexp.MustCompile(`Credential=[^/]+/[0-9]+/([^/]+)/([^/]+)/aws4_request`)

func (s *refusing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := scope.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		if s.regions[m[2]] == nil {
			s.regions[m[2]] = map[string]bool{}
		}
		s.regions[m[2]][m[1]] = true
		if agent := r.UserAgent(); !strings.Contains(agent, "greenroom/") {
			s.strange = append(s.strange, m[2]+": "+agent)
		}
		if m[2] == "sts" {
			w.Header().Set("Content-Type", "text/xml")
			_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>arn:aws:iam::123456789012:user/x</Arn><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>`)
			return
		}
	}
	w.WriteHeader(http.StatusBadRequest)
}

// TestEveryClientOfAWSIsInTheConfiguredRegion uses each, while the environment names another region.
func TestEveryClientOfAWSIsInTheConfiguredRegion(t *testing.T) {
	const region = "eu-north-1"
	s := &refusing{regions: map[string]map[string]bool{}}
	site := httptest.NewServer(s)
	t.Cleanup(site.Close)
	for name, value := range map[string]string{
		"AWS_REGION": "us-west-1", "AWS_ENDPOINT_URL": site.URL, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	cfg := config.Default()
	cfg.Zone, cfg.DNS.Provider, cfg.DNS.ZoneID, cfg.AWS.Region = "desk.example.com", "route53", "Z0123456789", region
	cfg.Blueprints[0].Provider, cfg.Blueprints[0].EC2 = "ec2", greenroom.EC2{Image: "ami-0123456789abcdef0", InstanceTypes: []string{"t3.large"}}
	cfg.Serverless = config.Serverless{
		Table: "greenroom", Queue: site.URL + "/queue", QueueARN: "arn:aws:sqs:eu-north-1:123456789012:wakes", DeadLetters: "arn:aws:sqs:eu-north-1:123456789012:dead",
		ScheduleGroup: "greenroom", ScheduleRole: "arn:aws:iam::123456789012:role/schedules", APITokens: "secret://aws/tokens",
	}
	logger, account := slog.New(slog.DiscardHandler), components.AWS(cfg)
	ctx := t.Context()
	for service, use := range map[string]func() error{
		"ec2": func() error {
			o, err := components.EC2(ctx, cfg, account, "me", logger)
			if err == nil {
				_, err = ec2compute.New(o).List(ctx, "")
			}
			return err
		},
		"route53": func() error {
			zone, err := components.OpenZone(ctx, cfg, account, "me", components.Secrets(account, logger))
			if err == nil {
				_, err = zone.GetRecords(ctx)
			}
			return err
		},
		"secretsmanager": func() error {
			_, err := components.Secrets(account, logger).Open(ctx, "dns.token", "secret://aws/token")
			return err
		},
		"dynamodb": func() error {
			answer, err := lambda.Open(ctx, lambda.Sweep, lambda.Options{Config: cfg, Logger: logger})
			if err == nil {
				_, err = answer(ctx, []byte(`{}`))
			}
			return err
		},
	} {
		if err := use(); err == nil || s.regions[service] == nil {
			t.Errorf("%s was not asked: %v", service, err)
		}
	}
	found, err := server.CheckAWS(ctx, cfg, nil, func(context.Context) (map[string]int, error) { return nil, nil })
	if err != nil || len(found) == 0 {
		t.Errorf("the doctor found %v, %v", found, err)
	}
	for _, service := range []string{"sts", "ec2", "route53", "secretsmanager", "dynamodb", "sqs", "scheduler", "lambda"} {
		if got := slices.Collect(maps.Keys(s.regions[service])); !slices.Equal(got, []string{region}) {
			t.Errorf("%s was asked in %v", service, got)
		}
	}
	if len(s.strange) > 0 {
		t.Errorf("agents without greenroom's name: %q", s.strange)
	}
}
