package family

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/identity"
)

// Intake takes contributions of verified callers; it hides the pool and the
// catalogue of the active policy from the faces.
type Intake struct {
	Pool      *pgxpool.Pool // role kith_app
	Catalogue func(context.Context) (Catalogue, error)
	Now       func() time.Time
}

// Submit is [Submit] for a verified caller: what comes becomes the caller's
// agency's own, whatever a record says.
func (in *Intake) Submit(ctx context.Context, p identity.Principal, format, key string, body io.Reader, report func(Line)) (Totals, error) {
	c, err := in.Catalogue(ctx)
	if err != nil {
		return Totals{}, fmt.Errorf("catalogue of the active policy: %w", err)
	}
	who := p.Client
	if who == "" {
		who = p.Worker.String()
	}
	s := Sender{Partnership: p.Partnership, Agency: p.Agency, Kind: p.Kind, Worker: p.Worker, Principal: who, Now: in.Now()}
	return Submit(ctx, in.Pool, s, format, key, body, c, report)
}
