package greenroom

import "slices"

// Correct takes over what makes a desktop from today's configuration of the same blueprint: its image, places, rights and programs. Seats
// and rules stay those that the meeting was scheduled with. It does nothing if the provider is another one.
func (b *Blueprint) Correct(today Blueprint) {
	if today.Name != b.Name || today.Provider != b.Provider {
		return
	}
	b.EC2, b.Applications, b.Hooks = today.EC2.clone(), slices.Clone(today.Applications), today.Hooks
	roles := make([]Role, 0, len(b.Seats))
	for _, name := range b.Seats {
		r, _ := b.Role(name)
		if now, ok := today.Role(name); ok {
			r.Applications, r.Image, r.InstanceTypes = slices.Clone(now.Applications), now.Image, slices.Clone(now.InstanceTypes)
		}
		roles = append(roles, r)
	}
	b.SetRoles(roles)
}
