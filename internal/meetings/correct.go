package meetings

import "greenroom"

// correct lets a seat whose desktop could not be had try with today's blueprint: whoever asks anew has perhaps fixed it. Desktops that
// are there stay as they are.
func (s *Service) correct(m *greenroom.Meeting, d *greenroom.Desktop) {
	if d.Phase != greenroom.Failed && d.Blocked.Since.IsZero() {
		return
	}
	if today, ok := s.blueprint(m.Blueprint.Name); ok {
		takeMachines(&m.Blueprint, today)
	}
}

// takeMachines takes over what makes a desktop from today's configuration of the same blueprint: its image, places, rights and programs.
// Seats and rules stay those that the meeting was scheduled with. It does nothing if the provider is another one.
func takeMachines(b *greenroom.Blueprint, today greenroom.Blueprint) {
	if today.Provider != b.Provider {
		return
	}
	own := greenroom.Meeting{Blueprint: today}
	today = own.Clone().Blueprint
	b.EC2, b.Applications, b.Hooks = today.EC2, today.Applications, today.Hooks
	roles := make([]greenroom.Role, 0, len(b.Seats))
	for _, name := range b.Seats {
		r, _ := b.Role(name)
		if now, ok := today.Role(name); ok {
			r.Applications, r.Image, r.InstanceTypes = now.Applications, now.Image, now.InstanceTypes
		}
		roles = append(roles, r)
	}
	b.SetRoles(roles)
}
