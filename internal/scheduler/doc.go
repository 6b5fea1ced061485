// Package scheduler says what every scheduler below it promises: sqlscheduler, in a server, and awsscheduler, where no process
// waits. schedulertest holds them to it.
//
// # A wake is answered
//
// A saved meeting that is not closed may have a wake, Meeting.WakeAt. The promise is made with the save: when a save is
// durable, some process calls Advance for the meeting at that time or soon after, whatever happens to the process that saved.
//
//   - Soon is a second while nothing fails. Bounds of each scheduler are in its tests.
//   - A wake in the past is answered at once. The newest save counts: a wake that was moved is answered at its new time only,
//     one that was cleared, or whose meeting was closed, not at all.
//   - A pass answers the wake that the meeting had when the pass began. A wake that is saved while a pass runs is another
//     pass. The save of a later wake, or of none, is what ends a promise: until then it is answered again and again.
//   - A pass that fails or panics is repeated, later and later, at least once a minute, and holds up no other meeting.
//   - A process that dies, before a pass or in one, a store that does not answer for a while, and a hint that is lost or comes
//     twice delay an answer and lose none.
//   - The wall clock decides. When it is set forward, what became due is answered within seconds; when it is set back, a wake
//     waits until the clock shows its time again.
//   - A kick asks for a pass as soon as possible. It is a hint: it may be lost with its process. A kick during a pass is
//     another pass after that. Kicks do not change wakes.
//
// Advance may be called more often than promised, at any time, and by two processes at once. It reads the meeting, finds out
// what is to be done, and its save compares the revision: calling it once too often is harmless, once too rarely is not.
package scheduler
