package httpapi

import (
	"encoding/json"
	"strconv"
	"time"

	"greenroom/internal/meetings"
)

// appendStanding writes wire.Standing as encoding/json would. Every lobby asks for it every second, and
// reflection would cost a third of the whole request; a test holds the two against each other.
func appendStanding(b []byte, s meetings.Standing) []byte {
	b = appendText(append(b, `{"meeting":`...), s.Meeting)
	b = appendText(append(b, `,"title":`...), s.Title)
	b = appendText(append(b, `,"seat":`...), s.Seat)
	b = appendText(append(b, `,"role":`...), s.Role)
	b = appendText(append(b, `,"name":`...), s.Name)
	b = appendText(append(b, `,"state":`...), string(s.State))
	b = appendText(append(b, `,"phase":`...), string(s.Phase))
	b = appendText(append(b, `,"message":`...), s.Message)
	b = strconv.AppendBool(append(b, `,"can_enter":`...), s.CanEnter)
	b = strconv.AppendBool(append(b, `,"wanted":`...), s.Wanted)
	b = strconv.AppendBool(append(b, `,"failing":`...), s.Failing)
	b = appendSeconds(append(b, `,"estimate":`...), s.Estimate)
	b = appendTime(append(b, `,"starts_at":`...), s.StartsAt)
	b = appendTime(append(b, `,"ends_at":`...), s.EndsAt)
	b = appendTime(append(b, `,"opens_at":`...), s.OpensAt)
	b = appendText(append(b, `,"time_zone":`...), s.TimeZone)
	b = appendText(append(b, `,"video_url":`...), s.VideoURL)
	b = append(b, `,"stages":[`...)
	for i, st := range s.Stages {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendStage(b, st)
	}
	return append(b, "]}\n"...)
}

func appendStage(b []byte, s meetings.Stage) []byte {
	b = appendText(append(b, `{"phase":`...), string(s.Phase))
	b = strconv.AppendBool(append(b, `,"done":`...), s.Done)
	b = strconv.AppendBool(append(b, `,"current":`...), s.Current)
	b = append(b, `,"since":`...)
	if s.Since.IsZero() {
		b = append(b, "null"...)
	} else {
		b = appendTime(b, s.Since)
	}
	b = appendSeconds(append(b, `,"expected":`...), s.Expected)
	return append(b, '}')
}

func appendTime(b []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(b, '"'), time.RFC3339Nano), '"')
}

func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendFloat(b, seconds(d), 'f', -1, 64)
}

// appendText quotes plain ASCII itself and leaves everything else to encoding/json.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
