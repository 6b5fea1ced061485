package meetings

import "greenroom"

// correct lets a seat whose desktop could not be had try with today's blueprint: whoever asks anew has perhaps fixed it. Desktops that
// are there stay as they are.
func (s *Service) correct(m *greenroom.Meeting, d *greenroom.Desktop) {
	if d.Phase != greenroom.Failed && d.Blocked.Since.IsZero() {
		return
	}
	if today, ok := s.blueprint(m.Blueprint.Name); ok {
		m.Blueprint.Correct(today)
	}
}
