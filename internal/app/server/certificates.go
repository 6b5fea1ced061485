package server

import (
	"context"
	"fmt"

	"greenroom/internal/app/components"
	"greenroom/internal/certs/localca"
	"greenroom/internal/config"
)

// openSecrets reads the secrets that the configuration refers to. The database's is needed whole at the start.
func (a *app) openSecrets(ctx context.Context) error {
	a.account = components.AWS(a.Config)
	a.secrets = components.Secrets(a.account, a.Logger)
	secret, err := a.secrets.Open(ctx, "database", a.Config.Database.Reveal())
	if err != nil {
		return err
	}
	database, err := secret.Get(ctx)
	if err != nil {
		return err
	}
	a.Config.Database = config.Secret(database)
	return a.Config.Validate() // what was a reference can be judged now
}

func openAuthority(cfg config.Config) (*localca.Authority, error) {
	authority, err := localca.Open(cfg.DataDir, cfg.Zone)
	if err != nil {
		return nil, fmt.Errorf("open local authority: %w", err)
	}
	return authority, nil
}
