package disclosure_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
)

// Colleagues are of the reader's own agency and of the people with whom the
// reader works too: nobody learns through them who else is involved.
func TestColleagues(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	view, err := h.read("social-worker", "three-ways", "FS")
	if err != nil {
		t.Fatal(err)
	}
	child, other := view.Children[0], view.Children[1]
	if _, err := h.door.Involve(t.Context(), h.people["team-manager"], disclosure.Change{Once: disclosure.Once{Key: uuid.NewString()}, RequestID: uuid.NewString()}, family.Allocation{
		Source: "allocation", Person: child, Worker: h.people["conference-chair"].Worker, Reason: "a secret of the manager's",
	}); err != nil {
		t.Fatal(err)
	}
	names := func(as string, v disclosure.View) map[string][]uuid.UUID {
		t.Helper()
		list, err := h.door.Colleagues(t.Context(), h.people[as], v)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]uuid.UUID{}
		for _, c := range list {
			if c.Reason != "" {
				t.Errorf("%s is told the reason: %s", as, c.Reason)
			}
			out[c.Name+c.Team] = append(out[c.Name+c.Team], c.Person)
		}
		return out
	}
	got := names("social-worker", view)
	if !slices.Equal(got["Miriam Osei"], []uuid.UUID{child}) || !slices.Contains(got["Grace Adeyemi"], other) {
		t.Errorf("this morning's allocation is not among the colleagues: %v", got)
	}
	if got := names("conference-chair", view); !slices.Equal(got["Grace Adeyemi"], []uuid.UUID{child}) {
		t.Errorf("a colleague of one child is told of the other: %v", got)
	}
	for as, want := range map[string]string{"mh-practitioner": "Sunita Rao", "perpetrator-practitioner": "Owen Tranter", "outsider": "", "auditor": ""} {
		if got := names(as, view); len(got) > 1 || want != "" && len(got[want]) == 0 || want == "" && len(got) > 0 {
			t.Errorf("%s: %v", as, got)
		}
	}
	// Whom a restriction keeps out works with the child no longer, as far as lists tell.
	if _, err := h.admin.Exec(t.Context(), `INSERT INTO restriction (id, person, kind, workers, agencies, reason, review_on, valid_from)
		VALUES (gen_random_uuid(), $1, 'exclusion', $2, '{}', 'a neighbour', current_date + 30, now() - interval '1 hour')`,
		child, []uuid.UUID{h.people["conference-chair"].Worker}); err != nil {
		t.Fatal(err)
	}
	if got := names("conference-chair", view); len(got) > 0 {
		t.Errorf("who is excluded is told: %v", got)
	}
}
