package demo

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/google/uuid"
)

// DefaultSeed is the borough that `kith demo` shows.
const DefaultSeed uint64 = 20417

// ids derives identifiers from the seed and a name. An id depends on nothing
// else, so adding a family or an entry moves no other id, and neither does the
// day. They look like random (version 4) UUIDs because design.md §6 promises
// ids that tell no order.
type ids struct{ seed uint64 }

func (d ids) sum(path ...string) [32]byte {
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], d.seed)
	b := make([]byte, 0, 96)
	b = append(b, head[:]...)
	for _, p := range path {
		b = append(b, p...)
		b = append(b, 0)
	}
	return sha256.Sum256(b)
}

func (d ids) of(path ...string) uuid.UUID {
	sum := d.sum(path...)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

// source gives each family its own stream, so that one family's words do not
// depend on how many the one before it used.
func (d ids) source(path ...string) *rand.Rand {
	sum := d.sum(append([]string{"stream"}, path...)...)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])))
}

// digits gives n decimal digits that look drawn at random.
func (d ids) digits(n int, path ...string) string {
	sum := d.sum(append([]string{"digits"}, path...)...)
	var b strings.Builder
	for i := range n {
		b.WriteByte('0' + sum[i]%10)
	}
	return b.String()
}

// nhsNumber makes a number in the range 999, which is never issued, with the
// right check digit (modulus 11).
func (d ids) nhsNumber(path ...string) string {
	for try := 0; ; try++ {
		n := "999" + d.digits(6, append(path, string(rune('a'+try)))...)
		sum := 0
		for i, c := range n {
			sum += int(c-'0') * (10 - i)
		}
		check := 11 - sum%11
		if check == 11 {
			check = 0
		}
		if check < 10 {
			return n + string(rune('0'+check))
		}
	}
}

// upn makes a unique pupil number: a check letter and twelve digits.
func (d ids) upn(path ...string) string {
	const letters = "ABCDEFGHJKLMNPQRTUVWXYZ"
	n := "801" + d.digits(9, path...)
	sum := 0
	for i, c := range n {
		sum += int(c-'0') * (i + 2)
	}
	return string(letters[sum%23]) + n
}

// day cuts t to its day in UTC.
func day(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
