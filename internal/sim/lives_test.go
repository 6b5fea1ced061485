//go:build !race

package sim_test

const lives = 10_000
