//go:build race

package ec2compute_test

// starts is small under the race detector, which makes each call ten times as long. scripts/run_tests.py tries the many without it.
var starts = []int{10, 100}
