// Package greenroom holds the nouns of the product and their laws: a meeting has seats, a seat has a
// desktop, a desktop has a phase, and only the moves of the phase table are legal. It does no I/O,
// takes no context and imports the standard library only; everything else in the module points at it.
//
// Where to look next: internal/plan decides what should happen to a meeting, internal/advance makes it
// happen, internal/meetings is what people and desktops may ask for, internal/app/server puts it together.
package greenroom
