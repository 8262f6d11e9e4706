package demo

import (
	"strings"

	"github.com/google/uuid"
)

// Account is a person or a system that can sign in to the demo, or a worker who
// only appears in records (no Sign). Names are invented.
type Account struct {
	Sign    string // demo name: mh-practitioner; empty = cannot sign in
	Worker  uuid.UUID
	Subject string // stable at the issuer for life; client id of a system
	Name    string
	Agency  string
	Kind    string
	Roles   []string
	System  bool

	teams    []seat
	dormant  bool
	employer string
}

// seat is a place in a team. days count from today; cover ends tomorrow morning.
type seat struct {
	agency, team string
	cover        bool
}

// Secret is the client secret of a demo system. It is no secret: the demo's
// provider runs on loopback alone and knows nobody real.
func (a Account) Secret() string { return "demo-" + a.Subject }

// Accounts lists everyone in the worker directory, those who can sign in first.
func Accounts(seed uint64) []Account {
	d := ids{seed}
	all := append(signIns(), colleagues()...)
	kinds := map[string]string{}
	names := map[string]string{}
	for _, a := range agencies() {
		kinds[a.code], names[a.code] = a.kind, a.name
	}
	for i := range all {
		a := &all[i]
		a.Kind = kinds[a.Agency]
		key := a.Sign
		if key == "" {
			key = a.Name
		}
		if a.employer == "" {
			a.employer = names[a.Agency]
		}
		if a.System {
			a.Subject = a.Sign
			continue
		}
		a.Worker = d.of("worker", key)
		a.Subject = d.of("subject", key).String()
	}
	return all
}

func signIns() []Account {
	team := func(agency, name string) seat { return seat{agency: agency, team: name} }
	north := team("CSC", northTeam)
	all := []Account{
		{Sign: "social-worker", Name: "Grace Adeyemi", Agency: "CSC", Roles: []string{"social-worker", "practitioner"}, teams: []seat{north}},
		{Sign: "team-manager", Name: "Ruth Calloway", Agency: "CSC", Roles: []string{"team-manager", "manager"}, teams: []seat{north}},
		{Sign: "emergency-duty", Name: "Tom Verity", Agency: "CSC", Roles: []string{"emergency-duty", "practitioner"}, teams: []seat{
			team("CSC", "Emergency Duty"), {agency: "CSC", team: northTeam, cover: true}, {agency: "CSC", team: southTeam, cover: true}}},
		{Sign: "mh-practitioner", Name: "Sunita Rao", Agency: "MH", Roles: []string{"mh-practitioner", "practitioner"}, teams: []seat{north, team("MH", "Adult Community North")}},
		{Sign: "sm-practitioner", Name: "Callum Brodie", Agency: "SM", Roles: []string{"sm-practitioner", "practitioner"}, teams: []seat{north, team("SM", "Recovery")}},
		{Sign: "idva", Name: "Nadia Karim", Agency: "DV", Roles: []string{"idva", "practitioner"}, teams: []seat{north, team("DV", "Advocacy")}},
		// Shares the surname of an alleged abuser: no conflict, yet the auditor's queue must find it.
		{Sign: "perpetrator-practitioner", Name: "Owen Tranter", Agency: "DP", Roles: []string{"perpetrator-practitioner", "practitioner"}, teams: []seat{north, team("DP", "Groups")}},
		{Sign: "detective", Name: "DC Priya Mistry", Agency: "POL", Roles: []string{"detective", "practitioner"}, teams: []seat{team("POL", publicProtection)}},
		{Sign: "mash-officer", Name: "PS Alan Whitlock", Agency: "POL", Roles: []string{"mash-officer"}, teams: []seat{team("POL", mashTeam)}},
		{Sign: "health-visitor", Name: "Bernadette Quigley", Agency: "HV", Roles: []string{"health-visitor", "practitioner"}, teams: []seat{team("HV", "North 0 to 5")}},
		{Sign: "safeguarding-lead", Name: "Helen Marsden", Agency: "SCH", Roles: []string{"safeguarding-lead", "practitioner"}, teams: []seat{team("SCH", "Safeguarding")}},
		{Sign: "probation-officer", Name: "Marcus Bell", Agency: "PRB", Roles: []string{"probation-officer", "practitioner"}, teams: []seat{team("PRB", "Northby Community")}},
		{Sign: "housing-officer", Name: "Janice Poole", Agency: "HOU", Roles: []string{"housing-officer", "practitioner"}, teams: []seat{team("HOU", "Tenancy North")}},
		{Sign: "outsider", Name: "Derek Fanshawe", Agency: "HOU2", Roles: []string{"housing-officer", "practitioner"}, teams: []seat{team("HOU2", "Lettings")}},

		{Sign: "conference-chair", Name: "Miriam Osei", Agency: "CSC", Roles: []string{"conference-chair"}, teams: []seat{team("CSC", "Conference and Review")}},
		// A parent in one of the families: opens every record but her own.
		{Sign: "family-support-worker", Name: "Leanne Fairley", Agency: "CSC", Roles: []string{"family-support-worker", "practitioner"}, teams: []seat{team("CSC", earlyHelpTeam), north}},
		{Sign: "school-nurse", Name: "Ifeoma Obi", Agency: "HV", Roles: []string{"school-nurse", "practitioner"}, teams: []seat{team("HV", "School Nursing")}},
		{Sign: "safeguarding-lead-2", Name: "Robert Lyle", Agency: "SCH2", Roles: []string{"safeguarding-lead", "practitioner"}, teams: []seat{team("SCH2", "Safeguarding")}},
		{Sign: "marac-coordinator", Name: "Fiona Marsh", Agency: "POL", Roles: []string{"marac-coordinator"}, teams: []seat{team("POL", "MARAC")}},
		{Sign: "match-steward", Name: "Colin Peters", Agency: "CSC", Roles: []string{"match-steward"}},
		{Sign: "sar-officer", Name: "Yvonne Clarke", Agency: "CSC", Roles: []string{"sar-officer"}},

		{Sign: "ig-author-csc", Name: "Edmund Hale", Agency: "CSC", Roles: []string{"ig-author"}},
		{Sign: "auditor", Name: "Margaret Ince", Agency: "HUB", Roles: []string{"auditor"}},
		{Sign: "admin", Name: "Piotr Zielinski", Agency: "HUB", Roles: []string{"admin"}},
	}
	approvers := map[string]string{"CSC": "Dr Anne Kettle", "MH": "Dr Samuel Okoro", "SM": "Judith Rains", "DV": "Parveen Shah", "DP": "Gareth Moss",
		"POL": "Supt Ian Draper", "HV": "Dr Lucy Hammond", "SCH": "Peter Lathom", "PRB": "Diane Wexford", "HOU": "Keith Barrow"}
	privacy := map[string]string{"CSC": "Stella Novak", "MH": "Rashid Anwar", "SM": "Emily Tate", "DV": "Joan Fielding", "DP": "Carl Winters",
		"POL": "Sandra Pike", "HV": "Bola Akande", "SCH": "Teresa Moran", "PRB": "Hugh Denton", "HOU": "Wendy Cross"}
	for _, kind := range feeding() {
		lower := strings.ToLower(kind)
		all = append(all,
			Account{Sign: "ig-approver-" + lower, Name: approvers[kind], Agency: kind, Roles: []string{"ig-approver"}},
			Account{Sign: "privacy-officer-" + lower, Name: privacy[kind], Agency: kind, Roles: []string{"privacy-officer"}},
			Account{Sign: "system-" + lower, Name: "Case system of " + kind, Agency: kind, Roles: []string{"system"}, System: true})
	}
	return all
}

// feeding lists the ten agencies, by kind, that contribute.
func feeding() []string {
	return []string{"CSC", "MH", "SM", "DV", "DP", "POL", "HV", "SCH", "PRB", "HOU"}
}

// colleagues cannot sign in: they hold the families that are closed to the demo
// names, and some have left.
func colleagues() []Account {
	return []Account{
		{Name: "Amara Nwosu", Agency: "CSC", Roles: []string{"social-worker"}, teams: []seat{{agency: "CSC", team: southTeam}}},
		{Name: "Lewis Hargreave", Agency: "CSC", Roles: []string{"social-worker"}, teams: []seat{{agency: "CSC", team: northTeam}}},
		{Name: "Sian Pritchard", Agency: "CSC", Roles: []string{"social-worker"}, teams: []seat{{agency: "CSC", team: careTeam}}},
		{Name: "Gordon Leech", Agency: "MH", Roles: []string{"mh-practitioner"}, teams: []seat{{agency: "MH", team: "Adult Community South"}}},
		{Name: "Tessa Dunmore", Agency: "SM", Roles: []string{"sm-practitioner"}, teams: []seat{{agency: "SM", team: "Recovery"}}},
		{Name: "Joy Mensah", Agency: "DV", Roles: []string{"idva"}, teams: []seat{{agency: "DV", team: "Refuge"}}},
		{Name: "Phil Garrity", Agency: "DP", Roles: []string{"perpetrator-practitioner"}, teams: []seat{{agency: "DP", team: "Groups"}}},
		{Name: "DS Neil Forrest", Agency: "POL", Roles: []string{"detective"}, teams: []seat{{agency: "POL", team: publicProtection}}},
		{Name: "Maureen Tully", Agency: "HV", Roles: []string{"health-visitor"}, teams: []seat{{agency: "HV", team: "South 0 to 5"}}},
		{Name: "Adrian Cope", Agency: "PRB", Roles: []string{"probation-officer"}, teams: []seat{{agency: "PRB", team: "Northby Community"}}},
		{Name: "Shirley Vance", Agency: "HOU", Roles: []string{"housing-officer"}, teams: []seat{{agency: "HOU", team: "Tenancy South"}}},
		{Name: "Kerry Dobbs", Agency: "CSC", Roles: []string{"social-worker"}, dormant: true},
	}
}
