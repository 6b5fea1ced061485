package server

import (
	"greenroom"
	"greenroom/internal/limits"
	"greenroom/internal/logkey"
)

// raiseLimits raises what this process may use, says what is too little, and refuses to start where nothing would work.
func (a *app) raiseLimits() error {
	limits.Raise()
	for _, f := range limits.Look() {
		if f.Useless {
			return &greenroom.UserError{Message: f.Message + " To have it start, " + f.Fix + "."}
		}
		a.Logger.Warn("limit is too low for many desktops", logkey.Limit, f.Limit, logkey.Detail, f.Message, logkey.Fix, f.Fix)
	}
	return nil
}
