//go:build race

package sim_test

// lives is small under the race detector, which makes a life ten times as long: a life has one thread at a time, and what there
// is to race is the campaign alone. scripts/run_tests.py leads the many without it.
const lives = 300
