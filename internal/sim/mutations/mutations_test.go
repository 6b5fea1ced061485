package mutations_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	_ "greenroom/internal/sim" // so that a result of this test is not remembered beyond a change of what it is about
	"greenroom/internal/sim/mutations"
)

// TestEveryMutationIsFound puts one fault at a time into the product and expects the simulation to say which promise it breaks.
func TestEveryMutationIsFound(t *testing.T) {
	t.Parallel()
	find(t, mutations.Table, "storm", mutations.Lives)
	find(t, mutations.Fog, "fog", mutations.FogLives)
	find(t, mutations.Scarce, "scarce", mutations.Lives)
}

func find(t *testing.T, table []mutations.Mutation, climate string, lives int) {
	t.Helper()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range table {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			simulate := build(t, root, m)
			out, err := exec.CommandContext(t.Context(), simulate, "-climate", climate, "-lives", strconv.Itoa(lives)).Output()
			var exit *exec.ExitError
			promise := broken(string(out))
			if err == nil || !errors.As(err, &exit) || exit.ExitCode() != 1 || promise == "" {
				t.Fatalf("not found in %d lives: %v", lives, err)
			}
			t.Log(promise)
		})
	}
}

// TestTextsOccurOnce holds all mutations to the code, in a moment.
func TestTextsOccurOnce(t *testing.T) {
	t.Parallel()
	for _, m := range slices.Concat(mutations.Table, mutations.Fog, mutations.Scarce, mutations.Rare) {
		text, err := os.ReadFile(filepath.Join("../../..", filepath.FromSlash(m.File)))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), m.Old); n != 1 {
			t.Errorf("%s: %s has the text to be changed %d times: change the mutation along with the code", m.Name, m.File, n)
		}
	}
}

// broken gives the promise that a campaign says was broken, and after how many lives.
func broken(out string) string {
	first, _, _ := strings.Cut(out, ":")
	_, promise, _ := strings.Cut(out, "\nseed ")
	promise, _, _ = strings.Cut(promise, "\n")
	return strings.TrimSpace(first + ", seed " + promise)
}

// build compiles cmd/simulate with the mutation laid over its file.
func build(t *testing.T, root string, m mutations.Mutation) string {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(m.File))
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.Old); n != 1 {
		t.Fatalf("%s has the text to be changed %d times: change the mutation along with the code", m.File, n)
	}
	dir := t.TempDir()
	mutated, overlay, simulate := filepath.Join(dir, "mutated.go"), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "simulate")
	doc, err := json.Marshal(map[string]map[string]string{"Replace": {file: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, mutated, strings.Replace(string(text), m.Old, m.New, 1))
	write(t, overlay, string(doc))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-ldflags=-s -w", "-o", simulate, "./cmd/simulate")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return simulate
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
