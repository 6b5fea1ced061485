package meetings_test

import (
	"slices"
	"testing"

	"greenroom"
)

// TestANewDesktopTakesTheCorrectedBlueprint if the one before could not be had.
func TestANewDesktopTakesTheCorrectedBlueprint(t *testing.T) {
	t.Parallel()
	for phase, corrected := range map[greenroom.Phase]bool{greenroom.Failed: true, greenroom.Ready: false} {
		b := setup(t)
		m := b.schedule()
		b.stand(m.ID, "student", phase)
		today := slices.Clone(b.Options.Blueprints)
		for i := range today {
			today[i].Applications = []string{"corrected"}
		}
		b.Options.Blueprints = today
		got, err := b.ReplaceDesktop(t.Context(), m.ID, "student", "the package is installed", false, 0)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(got.Blueprint.Applications, "corrected") != corrected {
			t.Errorf("after %s the meeting's programs are %v", phase, got.Blueprint.Applications)
		}
	}
}
