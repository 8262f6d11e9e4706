package identity

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"
)

// File is a worker directory as a partnership's administrators write it: the
// partnership, its agencies and workers. Loading is idempotent, and a record
// that says what it said last time is skipped, so that a nightly load does not
// undo a suspension made since. A worker left out of the file is left alone: to
// end one, give active_until.
type File struct {
	Partnership PartnershipRecord `yaml:"partnership"`
	Agencies    []AgencyRecord    `yaml:"agencies"`
	Workers     []WorkerRecord    `yaml:"workers"`
}

// PartnershipRecord is the partnership in a directory file.
type PartnershipRecord struct {
	Code       string `yaml:"code"`
	Name       string `yaml:"name"`
	DeskName   string `yaml:"desk_name"`
	DeskPhone  string `yaml:"desk_phone"`
	MashPhone  string `yaml:"mash_phone"`
	OutOfHours string `yaml:"out_of_hours"`
}

// AgencyRecord is one agency in a directory file. Its kind and its start can't
// change later: records and agreements hang on them.
type AgencyRecord struct {
	Code            string     `yaml:"code"`
	Kind            string     `yaml:"kind"`
	Name            string     `yaml:"name"`
	LegalController string     `yaml:"legal_controller"`
	ODS             string     `yaml:"ods"`
	ICO             string     `yaml:"ico"`
	ContactName     string     `yaml:"contact_name"`
	ContactPhone    string     `yaml:"contact_phone"`
	Feed            string     `yaml:"feed"` // daily, late, none (default)
	FeedLast        *time.Time `yaml:"feed_last"`
	ActiveFrom      *time.Time `yaml:"active_from"` // default: the day of loading
	ActiveUntil     *time.Time `yaml:"active_until"`
}

// WorkerRecord is one worker in a directory file. Days include the last one.
type WorkerRecord struct {
	Key string `yaml:"key"` // names the worker in this file for good
	// ID is the worker's id; by default one made from partnership and key.
	ID            uuid.UUID          `yaml:"id"`
	Agency        string             `yaml:"agency"`
	Employer      string             `yaml:"employer"`
	Issuer        string             `yaml:"issuer"`
	Subject       string             `yaml:"subject"`
	Name          string             `yaml:"name"`
	Roles         []string           `yaml:"roles"`
	ActiveFrom    *time.Time         `yaml:"active_from"` // default: the day of loading
	ActiveUntil   *time.Time         `yaml:"active_until"`
	Suspended     bool               `yaml:"suspended"`
	TrainingUntil *time.Time         `yaml:"training_until"`
	VettingUntil  *time.Time         `yaml:"vetting_until"`
	CaseIDs       []CaseIDRecord     `yaml:"case_ids"`
	Teams         []TeamRecord       `yaml:"teams"`
	Accepted      []AcceptanceRecord `yaml:"accepted"`
	Staff         *StaffRecord       `yaml:"staff"`
	Conflicts     []ConflictRecord   `yaml:"conflicts"`
}

// CaseIDRecord is how an agency's case system calls the worker.
type CaseIDRecord struct {
	Agency string `yaml:"agency"` // default: the worker's
	Scheme string `yaml:"scheme"`
	Value  string `yaml:"value"`
}

// TeamRecord is a team that the worker belongs to, or covers for.
type TeamRecord struct {
	Agency string     `yaml:"agency"` // default: the worker's
	Team   string     `yaml:"team"`
	Cover  bool       `yaml:"cover"` // needs an end
	From   *time.Time `yaml:"from"`  // default: the moment of loading
	Until  *time.Time `yaml:"until"`
}

// AcceptanceRecord is an agency's acceptance of the worker by name.
type AcceptanceRecord struct {
	Agency string     `yaml:"agency"`
	Roles  []string   `yaml:"roles"`
	From   *time.Time `yaml:"from"` // default: the day of loading
	Until  *time.Time `yaml:"until"`
	Reason string     `yaml:"reason"`
}

// StaffRecord is the worker's line in the staff register.
type StaffRecord struct {
	Surname string    `yaml:"surname"`
	Person  uuid.UUID `yaml:"person"` // own person record; zero = none known
}

// ConflictRecord is a declared tie of the worker to a person or a family.
type ConflictRecord struct {
	Person     uuid.UUID  `yaml:"person"`
	Family     uuid.UUID  `yaml:"family"`
	Kind       string     `yaml:"kind"`        // self, relative, neighbour, conflict
	DeclaredAt *time.Time `yaml:"declared_at"` // default: the moment of loading
	Until      *time.Time `yaml:"until"`
}

// String names nobody; a worker record is personal data.
func (WorkerRecord) String() string { return "worker record" }

// GoString is String for %#v.
func (w WorkerRecord) GoString() string { return w.String() }

// String names nobody; a staff record is personal data.
func (StaffRecord) String() string { return "staff record" }

// GoString is String for %#v.
func (s StaffRecord) GoString() string { return s.String() }

// WorkerID is the id that a worker of a directory file has by default.
func WorkerID(partnership, key string) uuid.UUID {
	space := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://kith.invalid/worker/"+partnership))
	return uuid.NewSHA1(space, []byte(key))
}

// ReadFile reads a directory file strictly and validates it; all errors are
// reported together, by the keys of the records.
func ReadFile(r io.Reader) (File, error) {
	var f File
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return File{}, fmt.Errorf("read directory file: %w", err)
	}
	return f.complete()
}

// complete fills in what a record leaves to its worker and the file.
func (f File) complete() (File, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !codeForm.MatchString(f.Partnership.Code) {
		add("partnership: %q is not a code", f.Partnership.Code)
	}
	codes := map[string]bool{}
	f.Agencies = slices.Clone(f.Agencies)
	for i := range f.Agencies {
		a := &f.Agencies[i]
		switch {
		case !agencyCode.MatchString(a.Code):
			add("agency %q: not an agency code", a.Code)
		case codes[a.Code]:
			add("agency %s: listed twice", a.Code)
		}
		codes[a.Code] = true
		if a.Name == "" || a.LegalController == "" {
			add("agency %s: name and legal_controller are needed", a.Code)
		}
		if a.ODS == "" && a.ICO == "" {
			add("agency %s: an ODS or ICO number is needed", a.Code)
		}
		switch a.Feed {
		case "":
			a.Feed = "none"
		case "daily", "late", "none":
		default:
			add("agency %s: feed %q is not daily, late or none", a.Code, a.Feed)
		}
	}
	keys := map[string]bool{}
	signIns := map[[2]string]bool{}
	f.Workers = slices.Clone(f.Workers)
	for i := range f.Workers {
		w := &f.Workers[i]
		at := "worker " + w.Key
		if w.Key == "" {
			at = fmt.Sprintf("workers[%d]", i)
			add("%s: no key", at)
		}
		if keys[w.Key] {
			add("%s: listed twice", at)
		}
		keys[w.Key] = true
		if s := [2]string{w.Issuer, w.Subject}; w.Issuer != "" {
			if signIns[s] {
				add("%s: another worker has the same sign-in", at)
			}
			signIns[s] = true
		}
		for _, err := range w.complete(f.Partnership.Code) {
			add("%s: %w", at, err)
		}
	}
	if len(errs) > 0 {
		return File{}, fmt.Errorf("directory file: %w", errors.Join(errs...))
	}
	return f, nil
}

func (w *WorkerRecord) complete(partnership string) []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if w.ID == uuid.Nil {
		w.ID = WorkerID(partnership, w.Key)
	}
	if !agencyCode.MatchString(w.Agency) {
		add("%q is not an agency code", w.Agency)
	}
	if strings.TrimSpace(w.Name) == "" || w.Employer == "" {
		add("name and employer are needed")
	}
	if (w.Issuer == "") != (w.Subject == "") {
		add("issuer and subject go together")
	}
	checkRoles := func(where string, roles []string) {
		for _, r := range roles {
			if !roleCode.MatchString(r) || r == RoleSystem {
				add("%s: %q is not a role of people", where, r)
			}
		}
	}
	checkRoles("roles", w.Roles)
	w.Roles = tidy(w.Roles)
	if w.Roles == nil {
		w.Roles = []string{}
	}
	w.CaseIDs = slices.Clone(w.CaseIDs)
	for i := range w.CaseIDs {
		c := &w.CaseIDs[i]
		if c.Agency == "" {
			c.Agency = w.Agency
		}
		if c.Scheme == "" || c.Value == "" {
			add("case_ids[%d]: scheme and value are needed", i)
		}
	}
	w.Teams = slices.Clone(w.Teams)
	for i := range w.Teams {
		t := &w.Teams[i]
		if t.Agency == "" {
			t.Agency = w.Agency
		}
		if t.Team == "" {
			add("teams[%d]: no team", i)
		}
		if t.Cover && t.Until == nil {
			add("teams[%d]: cover needs an end", i)
		}
	}
	for i, a := range w.Accepted {
		if !agencyCode.MatchString(a.Agency) {
			add("accepted[%d]: %q is not an agency code", i, a.Agency)
		}
		checkRoles(fmt.Sprintf("accepted[%d]", i), a.Roles)
	}
	for i, c := range w.Conflicts {
		if c.Person == uuid.Nil && c.Family == uuid.Nil {
			add("conflicts[%d]: neither a person nor a family", i)
		}
		if !slices.Contains([]string{"self", "relative", "neighbour", "conflict"}, c.Kind) {
			add("conflicts[%d]: kind %q is not self, relative, neighbour or conflict", i, c.Kind)
		}
	}
	return errs
}
