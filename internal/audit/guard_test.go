package audit_test

import (
	"errors"
	"testing"

	"kith/internal/audit"
)

// A log that cannot be trusted stops what releases, and goes on logging.
func TestAGuardStopsReleasesAlone(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	stopped := errors.New("rolled back")
	var why error
	h.recorder.Guard(func() error { return why })
	if _, err := h.recorder.Seal(h.read()); err != nil {
		t.Errorf("open: %v", err)
	}
	why = stopped
	if _, err := h.recorder.Seal(h.read()); !errors.Is(err, stopped) {
		t.Errorf("stopped: %v", err)
	}
	e := h.read()
	e.Released, e.Outcome = nil, audit.OutcomeDenied
	if _, err := h.recorder.Append(t.Context(), e); err != nil {
		t.Errorf("a refusal was not logged: %v", err)
	}
}
