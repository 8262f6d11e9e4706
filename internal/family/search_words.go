package family

import (
	_ "embed"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

//go:embed nicknames.txt
var nicknames string

// mostWords bounds the words of one name: what is longer is no name.
const mostWords = 6

// nameWords cuts a name into the words by which it is compared: lower case,
// without diacritics, apostrophes and dots; parts of a hyphenated or spaced
// name each by itself, and all of them as one, which stands last.
func nameWords(name string) []string {
	var words []string
	for _, part := range strings.FieldsFunc(plain(name), func(r rune) bool { return r == ' ' || r == '-' }) {
		if !slices.Contains(words, part) && len(words) < mostWords {
			words = append(words, part)
		}
	}
	if len(words) > 1 {
		words = append(words, strings.Join(words, ""))
		// "de Souza" and "O Brien" are compared by the whole and by what is no particle.
		words = slices.DeleteFunc(words, particle)
	}
	return words
}

// particle tells the small words of names, which alone say nothing.
func particle(word string) bool {
	switch word {
	case "o", "d", "de", "da", "do", "dos", "du", "di", "del", "der", "den", "la", "le", "van", "von", "al", "el", "bin", "ibn", "ap", "ab", "mac", "mc", "st", "ten", "ter":
		return true
	}
	return false
}

// plain folds a name to what a hurried hand would type: letters and digits,
// with spaces between words.
func plain(s string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(s)) {
		switch {
		case unicode.Is(unicode.Mn, r): // the mark of a letter that was taken apart
		case unfolded(r) != "":
			b.WriteString(unfolded(r))
		case unicode.IsLetter(r), unicode.IsDigit(r):
			b.WriteRune(r)
		case r == '\'' || r == '’' || r == 'ʼ' || r == '`' || r == '.':
		default:
			b.WriteByte(' ')
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// unfolded gives the letters that no decomposition takes apart.
func unfolded(r rune) string {
	switch r {
	case 'ł':
		return "l"
	case 'ø':
		return "o"
	case 'đ', 'ð':
		return "d"
	case 'þ':
		return "th"
	case 'ß':
		return "ss"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ı':
		return "i"
	}
	return ""
}

// askedWord is one word to look for.
type askedWord struct {
	Word  string `json:"word"`
	Score int    `json:"score"` // of an equal word, of 100
	Near  bool   `json:"near"`  // near spellings and sounds count too
}

// askedWords turns a name as typed into the words to look for. One part of a
// name of several finds too, and counts less than the whole.
func askedWords(name string, given bool) []askedWord {
	words := nameWords(name)
	var asked []askedWord
	add := func(w askedWord) {
		at := slices.IndexFunc(asked, func(o askedWord) bool { return o.Word == w.Word })
		switch {
		case at < 0:
			asked = append(asked, w)
		case w.Score > asked[at].Score:
			asked[at].Score = w.Score
		}
	}
	for i, w := range words {
		score := 100
		if i < len(words)-1 {
			score = 92
		}
		add(askedWord{w, score, true})
	}
	if !given {
		return asked
	}
	for _, w := range words {
		for _, other := range alsoCalled(w) {
			add(askedWord{other, 90, false})
		}
	}
	return asked
}

// alsoCalled lists the names that stand for this one.
func alsoCalled(word string) []string {
	var out []string
	for line := range strings.Lines(nicknames) {
		if strings.HasPrefix(line, "#") || !strings.Contains(line, word) {
			continue
		}
		group := strings.Fields(line)
		if !slices.Contains(group, word) {
			continue
		}
		for _, other := range group {
			if other != word && !slices.Contains(out, other) {
				out = append(out, other)
			}
		}
	}
	return out
}
