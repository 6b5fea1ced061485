package server

import (
	"context"
	"slices"

	"greenroom"
	"greenroom/internal/app/components"
	"greenroom/internal/compute"
	"greenroom/internal/compute/ec2compute"
)

// openEC2 returns nil unless a blueprint needs it or its region is configured: meetings that were scheduled with a blueprint
// that is no more need it still.
func (a *app) openEC2(ctx context.Context, owner string) (*ec2compute.Provider, error) {
	cfg := a.Config
	used := slices.ContainsFunc(cfg.Blueprints, func(b greenroom.Blueprint) bool { return b.Provider == greenroom.ProviderEC2 })
	if !used && cfg.AWS.Region == "" {
		return nil, nil
	}
	o, err := components.EC2(ctx, cfg, owner)
	if err != nil {
		return nil, err
	}
	o.Logger = a.Logger
	return ec2compute.New(o), nil
}

// providers are those that meetings' blueprints name.
func (a *app) providers() map[greenroom.Provider]compute.Provider {
	all := map[greenroom.Provider]compute.Provider{greenroom.ProviderLocal: a.provider}
	if a.ec2 != nil {
		all[greenroom.ProviderEC2] = a.ec2
	}
	return all
}
