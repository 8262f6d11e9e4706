package family

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// What one census file may ask of the hub's memory. A child of a real census
// takes 1 to 20 KiB; the limits leave room and keep a hostile file flat.
const (
	maxXMLToken  = 256 << 10 // one tag with its attributes, one run of text, one comment
	maxXMLDepth  = 64
	maxChildSize = 1 << 20 // the bytes of one child, as sent
	maxChildTags = 20_000  // elements of one child
	maxLeafText  = 1_000   // characters of one value
)

// Errors of a census file as a whole. What was read before one of them stands:
// each child was taken or refused by itself.
var (
	ErrNotCensus   = errors.New("not a Children in Need census file: the root element must be Message with Header and Children")
	ErrDoctype     = errors.New("a document type, entity or other declaration is not accepted")
	ErrXMLTooLarge = errors.New("a tag or a run of text is longer than 256 KiB")
	ErrXMLTooDeep  = errors.New("elements are nested deeper than 64")
)

// element is one XML element of a child: small enough to be kept whole.
type element struct {
	name  string
	text  string // the character data of a leaf, trimmed
	long  bool   // the text was longer than maxLeafText and is cut
	stray bool   // text stands between the elements
	kids  []*element
	used  bool // the reader knows it; the others are passed over with a warning
}

// one finds the first child element of that name and marks all of them as known.
func (e *element) one(name string) *element {
	all := e.all(name)
	if len(all) == 0 {
		return nil
	}
	return all[0]
}

// all finds the child elements of that name and marks them as known.
func (e *element) all(name string) []*element {
	if e == nil {
		return nil
	}
	var found []*element
	for _, k := range e.kids {
		if k.name == name {
			k.used = true
			found = append(found, k)
		}
	}
	return found
}

// meter hands bytes to the XML decoder one by one. It bounds a single token,
// which the decoder itself would buffer without end, and keeps the bytes since
// the last mark, so that a child can be stored as it was sent.
type meter struct {
	in    *bufio.Reader
	at    int64  // offset of the next byte
	start int64  // offset of buf[0]
	buf   []byte // bytes since start
	limit int64  // no byte at or after it is handed out
}

// ReadByte makes the decoder take our bytes without a buffer of its own.
func (m *meter) ReadByte() (byte, error) {
	if m.at >= m.limit {
		return 0, ErrXMLTooLarge
	}
	b, err := m.in.ReadByte()
	if err != nil {
		return 0, err
	}
	m.at++
	m.buf = append(m.buf, b)
	return b, nil
}

// Read is there for the decoder's signature alone.
func (m *meter) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := m.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// dropBefore forgets the bytes before an offset.
func (m *meter) dropBefore(offset int64) {
	n := min(max(offset-m.start, 0), int64(len(m.buf)))
	m.buf = m.buf[:copy(m.buf, m.buf[n:])]
	m.start += n
}

// upTo copies the kept bytes before an offset.
func (m *meter) upTo(offset int64) []byte {
	n := min(max(offset-m.start, 0), int64(len(m.buf)))
	return append([]byte(nil), m.buf[:n]...)
}

// censusXML walks a census file token by token.
type censusXML struct {
	in    *meter
	dec   *xml.Decoder
	depth int
	keep  bool // the bytes since the last mark are wanted
	begin int64
}

func newCensusXML(r io.Reader) *censusXML {
	m := &meter{in: bufio.NewReaderSize(r, 64<<10)}
	dec := xml.NewDecoder(m)
	dec.Strict = true
	dec.Entity = nil // the five of XML alone
	dec.CharsetReader = func(string, io.Reader) (io.Reader, error) {
		return nil, errors.New("the encoding must be UTF-8")
	}
	return &censusXML{in: m, dec: dec}
}

// next gives the next start tag, end tag or text. It refuses declarations and
// passes over comments and processing instructions. io.EOF ends a whole file.
func (c *censusXML) next() (xml.Token, error) {
	for {
		c.begin = c.dec.InputOffset()
		if !c.keep {
			c.in.dropBefore(c.begin)
		}
		c.in.limit = c.begin + maxXMLToken
		t, err := c.dec.Token()
		if err != nil {
			return nil, c.explain(err)
		}
		switch t := t.(type) {
		case xml.Directive:
			return nil, ErrDoctype
		case xml.StartElement:
			if c.depth++; c.depth > maxXMLDepth {
				return nil, ErrXMLTooDeep
			}
			return t, nil
		case xml.EndElement:
			c.depth--
			return t, nil
		case xml.CharData:
			return t, nil
		}
	}
}

// explain says where a file stops being readable, without quoting it: the
// decoder's own text names elements and characters.
func (c *censusXML) explain(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, ErrXMLTooLarge):
		return err
	case errors.As(err, &syntax):
		return fmt.Errorf("line %d: not well-formed XML", syntax.Line)
	case strings.Contains(err.Error(), "encoding"):
		return errors.New("the encoding must be UTF-8")
	default:
		return fmt.Errorf("read census file: %w", err)
	}
}

func (c *censusXML) line() int {
	line, _ := c.dec.InputPos()
	return line
}

// skip passes over the rest of an element whose start tag was just read.
func (c *censusXML) skip() error {
	for inside := 1; inside > 0; {
		t, err := c.next()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t.(type) {
		case xml.StartElement:
			inside++
		case xml.EndElement:
			inside--
		}
	}
	return nil
}

// element reads the rest of an element whose start tag was just read, with its
// bytes. Where it is larger than a child may be it is read to its end but not
// kept, and large is true.
func (c *censusXML) element(name string) (e *element, raw []byte, large bool, err error) {
	c.keep = true
	defer func() { c.keep = false }()
	c.in.dropBefore(c.begin)
	began, tags := c.begin, 1
	root := &element{name: name}
	open := []*element{root}
	for len(open) > 0 {
		t, err := c.next()
		if err != nil {
			return nil, nil, false, unexpectedEnd(err)
		}
		if tags > maxChildTags || c.dec.InputOffset()-began > maxChildSize {
			large, c.keep = true, false
		}
		last := open[len(open)-1]
		switch t := t.(type) {
		case xml.StartElement:
			tags++
			k := &element{name: t.Name.Local}
			if !large {
				last.kids = append(last.kids, k)
			}
			open = append(open, k)
		case xml.EndElement:
			last.settle()
			open = open[:len(open)-1]
		case xml.CharData:
			last.add(t)
		}
	}
	if large {
		return nil, nil, true, nil
	}
	return root, c.in.upTo(c.dec.InputOffset()), false, nil
}

// add appends text, as far as a value may be long. Text beside elements is
// noted in settle; its content is of no use to anybody.
func (e *element) add(t []byte) {
	// Room for the white space around a value; the exact cut is settle's.
	if room := 8*maxLeafText - len(e.text); room < len(t) {
		t, e.long = t[:room], true
	}
	e.text += string(t)
}

func (e *element) settle() {
	e.text = strings.TrimSpace(e.text)
	if len(e.kids) > 0 {
		e.stray = e.text != ""
		e.text, e.long = "", false
		return
	}
	if e.long = e.long || utf8.RuneCountInString(e.text) > maxLeafText; e.long {
		e.text = ""
	}
}

// unexpectedEnd turns an end of file inside an element into an error that is
// not taken for the end of the work.
func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return errors.New("the file ends inside an element")
	}
	return err
}
