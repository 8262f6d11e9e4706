package demo

// Partnership is the code of the invented partnership.
const Partnership = "northby"

// agency is a row of the directory. Phone numbers are from Ofcom's drama range.
type agency struct {
	code, kind, name, controller string
	ods, ico                     string
	contact, phone               string
	feed                         string // daily, late, none
	lastFeedHours                int    // hours before the start; 0 = never
}

func agencies() []agency {
	return []agency{
		{"CSC", "CSC", "Northby Children's Social Care", "Northby Council", "", "ZA000101", "Children's services contact desk", "01632 960100", "daily", 6},
		{"MH", "MH", "Northby and Dale Mental Health Trust", "Northby and Dale Mental Health NHS Foundation Trust", "RXX91", "ZA000102", "Trust safeguarding team", "01632 960110", "daily", 7},
		{"SM", "SM", "Turning Tide Drug and Alcohol Service", "Turning Tide", "8XX12", "ZA000103", "Turning Tide duty worker", "01632 960120", "daily", 9},
		{"DV", "DV", "Harbour Domestic Abuse Service", "Harbour Northby", "", "ZA000104", "Harbour helpline for professionals", "01632 960130", "daily", 8},
		{"DP", "DP", "Choosing Change Programme", "Choosing Change", "", "ZA000105", "Choosing Change office", "01632 960140", "late", 80},
		{"POL", "POL", "Dale Constabulary, Public Protection", "Chief Constable of Dale Constabulary", "", "ZA000106", "Public protection desk", "01632 960150", "daily", 3},
		{"HV", "HV", "Northby Health Visiting and School Nursing", "Northby Community Health NHS Trust", "RXX92", "ZA000107", "Single point of access, 0 to 19 service", "01632 960160", "daily", 10},
		{"SCH", "SCH", "Millbrook Primary School", "Millbrook Primary School", "", "ZA000108", "Millbrook school office", "01632 960170", "daily", 12},
		{"SCH2", "SCH", "Northby Academy", "Dale Learning Trust", "", "ZA000109", "Northby Academy safeguarding office", "01632 960175", "late", 60},
		{"PRB", "PRB", "Probation, Northby Delivery Unit", "Dale Probation", "", "ZA000110", "Probation duty officer", "01632 960180", "daily", 11},
		{"HOU", "HOU", "Northby Homes", "Northby Homes Limited", "", "ZA000111", "Northby Homes tenancy team", "01632 960190", "daily", 14},
		{"HUB", "HUB", "Northby Family Information Hub", "Northby Council (as operator for the partners)", "", "ZA000112", "Hub operations", "01632 960195", "none", 0},
		// A housing association that never signed: a valid sign-in that opens nothing.
		{"HOU2", "HOU", "Eastgate Housing Association", "Eastgate Housing Association", "", "ZA000113", "Eastgate front desk", "01632 960198", "none", 0},
	}
}

const (
	partnershipName  = "Northby Safeguarding Children Partnership"
	deskName         = "Northby information sharing desk"
	deskPhone        = "01632 960101"
	mashPhone        = "01632 960102"
	outOfHoursPhone  = "01632 960103"
	northTeam        = "Family Safeguarding North"
	southTeam        = "Family Safeguarding South"
	earlyHelpTeam    = "Family Help"
	careTeam         = "Children in Care"
	mashTeam         = "MASH"
	publicProtection = "Public Protection Investigations"
)
