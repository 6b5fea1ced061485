//go:build !race

package sim_test

const lives = 4_000
