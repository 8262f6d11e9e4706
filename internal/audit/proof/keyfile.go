package proof

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// KeyFile is what an auditor trusts: a file with one key a line, each after
// the word log, replica or witness. Empty lines and lines with # are comments.
type KeyFile struct {
	Logs      []NoteKey
	Replicas  []Key
	Witnesses []NoteKey
}

// For gives the keys that may stand on a checkpoint of a log. A log that was
// resumed after a restore is called ORIGIN/2, ORIGIN/3 … and keeps its key, so
// who trusts the key under ORIGIN trusts it under those names.
func (k *KeyFile) For(origin string) []NoteKey {
	var list []NoteKey
	for _, key := range k.Logs {
		if number, ok := strings.CutPrefix(origin, key.Name+"/"); ok {
			if n, err := parseSize(number); err == nil && n > 1 {
				key.Name = origin
			}
		}
		list = append(list, key)
	}
	return append(list, k.Witnesses...)
}

// Open verifies a signed checkpoint by these keys. Errors: as OpenCheckpoint.
func (k *KeyFile) Open(signed []byte) (Signed, error) {
	claimed, err := PeekCheckpoint(signed)
	if err != nil {
		return Signed{}, err
	}
	return OpenCheckpoint(signed, k.For(claimed.Origin))
}

// Dates are from when to when a key signs. Zero is open; until is not included.
type Dates struct{ From, Until time.Time }

// Hold tells whether a moment is within the dates. A moment that is not known
// (zero) is.
func (d Dates) Hold(at time.Time) bool {
	return at.IsZero() || !at.Before(d.From) && (d.Until.IsZero() || at.Before(d.Until))
}

// String is how a key file has them; empty where both are open.
func (d Dates) String() string {
	text := ""
	if !d.From.IsZero() {
		text += " from=" + d.From.UTC().Format(time.RFC3339)
	}
	if !d.Until.IsZero() {
		text += " until=" + d.Until.UTC().Format(time.RFC3339)
	}
	return text
}

func parseDates(fields []string) (Dates, error) {
	var d Dates
	for _, f := range fields {
		name, text, _ := strings.Cut(f, "=")
		at, err := time.Parse(time.RFC3339, text)
		to := map[string]*time.Time{"from": &d.From, "until": &d.Until}[name]
		if err != nil || to == nil {
			return d, fmt.Errorf("%w: %q is neither from=TIME nor until=TIME", ErrKey, f)
		}
		*to = at
	}
	if !d.Until.IsZero() && !d.From.Before(d.Until) {
		return d, fmt.Errorf("%w: it ends before it begins", ErrKey)
	}
	return d, nil
}

// String is the file.
func (k *KeyFile) String() string {
	var b strings.Builder
	for _, x := range k.Logs {
		b.WriteString("log " + x.String() + x.Dates.String() + "\n")
	}
	for _, x := range k.Replicas {
		b.WriteString("replica " + x.String() + x.Dates.String() + "\n")
	}
	for _, x := range k.Witnesses {
		b.WriteString("witness " + x.String() + x.Dates.String() + "\n")
	}
	return b.String()
}

// ParseKeyFile reads a key file: on each line a word, a key and its dates. A
// bare key is a log's or a witness's. The signatures of a signed list are
// passed over: see Announced. Error: ErrKey.
func ParseKeyFile(data []byte) (KeyFile, error) {
	var k KeyFile
	for i, line := range strings.Split(string(data), "\n") {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "\u2014" {
			continue
		}
		word, text, rest := "", fields[0], fields[1:]
		if len(rest) > 0 && !strings.Contains(text, "+") { // a key has one, a word none
			word, text, rest = text, rest[0], rest[1:]
		}
		if err := k.add(word, text, rest); err != nil {
			return KeyFile{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(k.Logs)+len(k.Replicas)+len(k.Witnesses) == 0 {
		return KeyFile{}, fmt.Errorf("%w: the file holds none", ErrKey)
	}
	return k, nil
}

func (k *KeyFile) add(word, text string, rest []string) error {
	dates, err := parseDates(rest)
	if err != nil {
		return err
	}
	switch word {
	case "replica":
		key, err := ParseKey(text)
		if err != nil {
			return err
		}
		key.Dates = dates
		k.Replicas = append(k.Replicas, key)
		return nil
	case "", "log", "witness":
		key, err := ParseNoteKey(text)
		if err != nil {
			return err
		}
		if word != "" && key.Witness != (word == "witness") {
			return fmt.Errorf("%w: it is not a %s's", ErrKey, word)
		}
		key.Dates = dates
		if key.Witness {
			k.Witnesses = append(k.Witnesses, key)
		} else {
			k.Logs = append(k.Logs, key)
		}
		return nil
	}
	return fmt.Errorf("%w: unknown word %q", ErrKey, word)
}

// ErrNotAnnounced: no key that was trusted before has signed the list.
var ErrNotAnnounced = errors.New("no key that you trust has signed this list")

// Announce is the list as a signed note, by the keys of its log that sign at
// present: who trusts one of them learns of the others by it.
func (k *KeyFile) Announce(keys ...LogSigner) ([]byte, error) {
	signers := make([]note.Signer, 0, len(keys))
	for _, x := range keys {
		signers = append(signers, signer{verifier: verifier{x.Key}, private: x.Private})
	}
	signed, err := note.Sign(&note.Note{Text: k.String()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("sign the list of keys: %w", err)
	}
	return signed, nil
}

// Announced reads a list that a log's key of k has signed. A key that was in
// use when the list was made is in it. Errors: ErrNotAnnounced, ErrKey.
func (k *KeyFile) Announced(list []byte) (KeyFile, []NoteKey, error) {
	verifiers := make([]note.Verifier, 0, len(k.Logs))
	for _, x := range k.Logs {
		verifiers = append(verifiers, verifier{x})
	}
	n, err := note.Open(list, note.VerifierList(verifiers...))
	if err != nil {
		return KeyFile{}, nil, fmt.Errorf("%w: %w", ErrNotAnnounced, err)
	}
	var by []NoteKey
	for _, sig := range n.Sigs {
		for _, x := range k.Logs {
			if x.Name == sig.Name && x.hash() == sig.Hash {
				by = append(by, x)
			}
		}
	}
	fresh, err := ParseKeyFile([]byte(n.Text))
	return fresh, by, err
}

// LogSigner is a log's key with its private half.
type LogSigner struct {
	Key     NoteKey
	Private ed25519.PrivateKey
}
