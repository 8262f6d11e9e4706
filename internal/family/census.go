package family

import (
	"encoding/xml"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"regexp"
	"strings"
	"time"
)

// CensusChild is one child of a census file: taken whole or refused whole.
type CensusChild struct {
	ID       string // the council's own id; "" where the file gives none
	Line     int    // where the child begins
	Records  []Record
	Warnings []string    // implausible or passed over, but taken
	Refused  *FieldError // set: nothing of this child may be taken
}

// Census is what a file says about itself.
type Census struct {
	Year      string
	Reference time.Time // zero where the header names no readable date
	Children  int
	Warnings  []string // what was passed over after the last child
}

// ReadCensus reads a Children in Need census file of the Department for
// Education and yields each child as it ends, so that a file of any length
// takes the memory of its largest child.
//
// A child becomes a person without a name, an identity and an equality entry,
// and for each CINdetails an episode with its entries: the referral and what
// followed as social care status, assessments with their factors as
// assessment and plan, section 47 enquiries and child protection plans as
// episodes of their own. A factor names no adult: every entry is about the
// child alone. Local ids are made of the child's id, the kind and the first
// date, so that a file sent again, or next year's, meets the same records.
//
// Unknown elements and stray text are passed over with a warning, implausible
// dates are taken with a warning, a date that is none refuses the child.
// Declarations (document types, entities) end the reading with ErrDoctype. An
// error of yield ends it too and is returned as it is. Children yielded before
// an error stand.
func ReadCensus(r io.Reader, yield func(CensusChild) error) (Census, error) {
	c := &censusReader{xml: newCensusXML(r), yield: yield, seed: maphash.MakeSeed(), seen: make(map[uint64]bool)}
	if err := c.file(); err != nil {
		return c.census, err
	}
	c.census.Warnings = c.pending
	return c.census, nil
}

type censusReader struct {
	xml      *censusXML
	yield    func(CensusChild) error
	census   Census
	pending  []string // warnings about what stands before the next child
	children bool     // a Children element was there

	// The ids met so far, as keyed hashes: 16 bytes a child instead of the
	// ids. That two children of one file share one is told as a repeated id
	// once in 10^7 files of a million children.
	seed maphash.Seed
	seen map[uint64]bool
}

// file reads the outermost element.
func (c *censusReader) file() error {
	root, err := c.start()
	if err != nil {
		return err
	}
	if root != "Message" {
		return ErrNotCensus
	}
	err = c.each(func(name string) error {
		switch name {
		case "Header":
			return c.header()
		case "Children":
			c.children = true
			return c.each(c.child)
		default:
			c.warn(passedOver(name))
			return c.xml.skip()
		}
	})
	if err != nil {
		return err
	}
	if !c.children {
		return ErrNotCensus
	}
	// Whatever follows the root is read for its declarations and its form.
	for {
		if _, err := c.xml.next(); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// start finds the outermost element.
func (c *censusReader) start() (string, error) {
	for {
		t, err := c.xml.next()
		if errors.Is(err, io.EOF) {
			return "", ErrNotCensus
		}
		if err != nil {
			return "", err
		}
		if s, ok := t.(xml.StartElement); ok {
			return s.Name.Local, nil
		}
	}
}

// each calls visit for each child element of the one whose start tag was just
// read; visit must read it to its end.
func (c *censusReader) each(visit func(name string) error) error {
	for {
		t, err := c.xml.next()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if err := visit(t.Name.Local); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		case xml.CharData:
			if !blankText(t) {
				c.warn("stray text: passed over")
			}
		}
	}
}

func (c *censusReader) header() error {
	e, _, large, err := c.xml.element("Header")
	if err != nil {
		return err
	}
	if large {
		return ErrNotCensus
	}
	details := e.one("CollectionDetails")
	if kind := details.one("Collection"); kind != nil && kind.text != "CIN" {
		return ErrNotCensus
	}
	if year := details.one("Year"); year != nil && censusYear.MatchString(year.text) {
		c.census.Year = year.text
	}
	reference, err := censusDate(details.one("ReferenceDate").value())
	if err != nil || reference.IsZero() {
		c.warn("Header/CollectionDetails/ReferenceDate: is missing or not a date; no date is compared with it")
	}
	c.census.Reference = reference
	return nil
}

// child reads one child and yields it.
func (c *censusReader) child(name string) error {
	if name != "Child" {
		c.warn(passedOver(name))
		return c.xml.skip()
	}
	line := c.xml.line()
	e, raw, large, err := c.xml.element(name)
	if err != nil {
		return fmt.Errorf("child at line %d: %w", line, err)
	}
	child := CensusChild{Line: line}
	if large {
		child.Refused = &FieldError{Field: "Child", Rule: "is larger than 1 MiB or 20 000 elements"}
	} else {
		child = readChild(e, c.census.Reference)
		child.Line = line
	}
	if child.ID != "" && child.Refused == nil {
		key := maphash.String(c.seed, child.ID)
		if c.seen[key] {
			// Two children under one id would become one person.
			child.Refused = &FieldError{Field: "ChildIdentifiers/LAchildID", Rule: "stands in this file already"}
		}
		c.seen[key] = true
	}
	child.Warnings = append(c.pending, child.Warnings...)
	c.pending = nil
	if child.Refused != nil {
		child.Records = nil
	}
	for i := range child.Records {
		child.Records[i].Line, child.Records[i].Where = line, "child "+child.ID
		if p := child.Records[i].Person; p != nil {
			p.Raw, p.MediaType = raw, "application/xml"
		}
	}
	c.census.Children++
	return c.yield(child)
}

// warn keeps a warning for the next child's line; a file of nothing but stray
// text says so a few times, not a million.
func (c *censusReader) warn(text string) {
	if len(c.pending) < maxWarnings {
		c.pending = append(c.pending, text)
	}
}

// maxWarnings bounds what one line of a report can say.
const maxWarnings = 50

var (
	censusYear  = regexp.MustCompile(`^[0-9]{4}$`)
	elementName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`)
)

// passedOver names an unknown element, unless its name is made to be read.
func passedOver(path string) string {
	for _, step := range strings.Split(path, "/") {
		if !elementName.MatchString(step) {
			return "an element that is not known: passed over"
		}
	}
	return path + ": is not known; passed over"
}

func blankText(t []byte) bool {
	for _, b := range t {
		switch b {
		case ' ', '\t', '\r', '\n', 0xEF, 0xBB, 0xBF: // a byte order mark counts as nothing
		default:
			return false
		}
	}
	return true
}
