//go:build race

package gateway_test

// The race detector's own frames make every stack larger: the budget is for the program as it is shipped.
func init() { idleBudget = 75 }
