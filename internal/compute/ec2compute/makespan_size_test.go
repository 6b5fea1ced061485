//go:build !race

package ec2compute_test

var starts = []int{10, 100, 1000, 5000}
