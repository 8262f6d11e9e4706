package disclosure

import (
	"crypto/sha256"
	"encoding/json"

	"kith/internal/policy"
)

// asking puts each different question once: most accesses ask what was asked
// before, by the same worker of the same family on the same day. The key is the
// whole input.
type asking struct {
	player *policy.Player
	known  *known
	queue  []json.RawMessage
	to     []*answerTo
	asked  int // different questions
}

// answerTo is the answer to one question, once it was put.
type answerTo struct {
	policy.Replayed
	key [sha256.Size]byte
}

// full tells that as many questions wait as are put at a time.
func (a *asking) full() bool { return len(a.queue) >= policy.PlayMost }

// ask gives the answer to come. It is there after put.
func (a *asking) ask(input json.RawMessage) *answerTo {
	key := sha256.Sum256(input)
	if x := a.known.find(key); x != nil {
		return x
	}
	x := &answerTo{key: key}
	a.known.keep(x)
	a.queue = append(a.queue, input)
	a.to = append(a.to, x)
	a.asked++
	return x
}

// put puts what waits.
func (a *asking) put() error {
	for len(a.queue) > 0 {
		n := min(len(a.queue), policy.PlayMost)
		answers, err := a.player.Ask(a.queue[:n])
		if err != nil {
			return err
		}
		for i := range answers {
			a.to[i].Replayed = answers[i]
		}
		a.queue, a.to = a.queue[n:], a.to[n:]
	}
	a.queue, a.to = nil, nil
	return nil
}

// keptAnswers bounds how many answers are kept: a day's work of a large
// partnership, in some 20 MB.
const keptAnswers = 100_000

// known keeps answers in two halves: when the younger is full, the older is
// forgotten. What is asked again stays.
type known struct {
	young, old map[[sha256.Size]byte]*answerTo
}

func newKnown() *known {
	return &known{young: map[[sha256.Size]byte]*answerTo{}}
}

func (k *known) find(key [sha256.Size]byte) *answerTo {
	if x := k.young[key]; x != nil {
		return x
	}
	x := k.old[key]
	if x != nil {
		k.keep(x)
	}
	return x
}

func (k *known) keep(x *answerTo) {
	if len(k.young) >= keptAnswers/2 {
		k.old, k.young = k.young, map[[sha256.Size]byte]*answerTo{}
	}
	k.young[x.key] = x
}
