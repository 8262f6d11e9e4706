package web_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
)

// partner is a witness's server, with a fault to order.
type partner struct {
	*httptest.Server
	name  string
	fault atomic.Int32 // one of those below
}

const (
	partnerSigns int32 = iota
	partnerFails
	partnerLies
)

// newPartner starts a witness of the log that is being configured.
func newPartner(t *testing.T, name string, c *tree.Config) *partner {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	log, err := proof.NewLogKey(c.Origin, c.LogKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	book, err := proof.NewWitness(name, key, []proof.NoteKey{log}, time.Now, func(string, []byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	p := &partner{name: name}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		answer := book.Add(body)
		switch p.fault.Load() {
		case partnerFails:
			answer = proof.Answer{Status: http.StatusInternalServerError}
		case partnerLies:
			answer = proof.Answer{Status: http.StatusConflict, Type: "text/x.tlog.size", Body: "1000000\n"}
		}
		w.Header().Set("Content-Type", answer.Type)
		w.WriteHeader(answer.Status)
		_, _ = io.WriteString(w, answer.Body)
	}))
	t.Cleanup(p.Close)
	c.Witnesses = append(c.Witnesses, tree.Witness{URL: p.URL, Key: book.Key().String()})
	return p
}

// TestWitnessesStandInTheStateOfTheLog: one that signs, one that is silent and
// one that says it has seen another log are told apart, in words.
func TestWitnessesStandInTheStateOfTheLog(t *testing.T) {
	t.Parallel()
	var police, trust *partner
	h := newHub(t, func(c *tree.Config) {
		police, trust = newPartner(t, "witness.police.example", c), newPartner(t, "witness.trust.example", c)
		c.Quorum = 2 // one of them may lie, and reads go on
	})
	auditor := h.as(t, "auditor")
	// The witnesses are asked beside the log, at each new checkpoint.
	until := func(wants ...string) {
		t.Helper()
		var page answer
		for end := time.Now().Add(time.Minute); ; {
			h.seal(t)
			page = auditor.get("/log/state") // an event of its own, so that there is something to sign
			missing := ""
			for _, want := range wants {
				if !strings.Contains(page.body, want) {
					missing = want
				}
			}
			if missing == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the page never says %q:\n%.3000s", missing, page.body)
			}
		}
	}
	until("The log is whole.", "Witnesses: 2 of 2 agree", police.name, "It has signed the log as we show it.")

	trust.fault.Store(partnerFails)
	until("Witnesses: 1 of 2 agree", "It has not answered, or not with a good signature.", "The log is whole.")

	trust.fault.Store(partnerLies)
	until("The log is late.", "The witness witness.trust.example says that it has seen another log of this name.", "ring the hub’s operator and the partner", "A witness has seen another log of this name")
	if page := auditor.get("/log"); !strings.Contains(page.body, "witness.trust.example") {
		t.Error("the list of accesses does not say that a witness disagrees")
	}
}
