package sqlscheduler

import (
	"greenroom"
	"greenroom/internal/store"
)

// Wakes tells a scheduler of the saves of its store. It comes before both: the store is opened with it, and the
// scheduler is made of it and the store.
type Wakes struct{ alarm *alarm }

// NewWakes returns the Wakes of one store and one scheduler.
func NewWakes() *Wakes { return &Wakes{alarm: newAlarm()} }

// Committed tells the alarm of a save, after it is durable. It is quick.
func (w *Wakes) Committed(m greenroom.Meeting) {
	wake := store.Wake{Meeting: m.ID}
	if !m.Closed {
		wake.At = m.WakeAt
	}
	w.alarm.promised(wake, m.Rev)
}
