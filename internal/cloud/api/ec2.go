package api

import "github.com/hoplab/hoplab/internal/cloud/wire"

func (a *API) registerEC2(s *wire.Server) {}
