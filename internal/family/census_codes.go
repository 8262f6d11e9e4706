package family

import "strings"

// The code sets of the Children in Need census, in plain words. A code that is
// not here is kept without words: the lists change from year to year.

// differ tells whether the coded sex and the coded gender say different things.
func differ(sex, gender string) bool {
	said := func(s string) bool { return s == "male" || s == "female" }
	return said(sex) && said(gender) && sex != gender
}

func sexWords(code string) string {
	switch code {
	case "M":
		return "male"
	case "F":
		return "female"
	case "U":
		return "unknown"
	}
	return ""
}

func genderWords(code string) string {
	switch code {
	case "0":
		return "not known"
	case "1":
		return "male"
	case "2":
		return "female"
	case "9":
		return "not specified"
	}
	return ""
}

func referralWords(code string) string {
	switch code {
	case "1A":
		return "family member, relative or carer"
	case "1B":
		return "acquaintance"
	case "1C":
		return "self"
	case "1D":
		return "other individual"
	case "2A":
		return "school"
	case "2B":
		return "education service"
	case "3A":
		return "GP"
	case "3B":
		return "health visitor"
	case "3C":
		return "school nurse"
	case "3D":
		return "other primary health service"
	case "3E":
		return "emergency department"
	case "3F":
		return "other health service"
	case "4":
		return "housing"
	case "5A":
		return "adult social care of this council"
	case "5B":
		return "other service of this council"
	case "5C":
		return "another council"
	case "6":
		return "police"
	case "7":
		return "other legal agency"
	case "8":
		return "other organisation"
	case "9":
		return "anonymous"
	case "10":
		return "unknown"
	}
	return ""
}

func needWords(code string) string {
	switch code {
	case "N0":
		return "not stated"
	case "N1":
		return "abuse or neglect"
	case "N2":
		return "child's disability or illness"
	case "N3":
		return "parent's disability or illness"
	case "N4":
		return "family in acute stress"
	case "N5":
		return "family dysfunction"
	case "N6":
		return "socially unacceptable behaviour"
	case "N7":
		return "low income"
	case "N8":
		return "absent parenting"
	case "N9":
		return "other than children in need"
	}
	return ""
}

// closedByAdoption is the reason for closure that ties a record to an earlier life.
const closedByAdoption = "RC1"

func closureWords(code string) string {
	switch code {
	case closedByAdoption:
		return "adopted"
	case "RC2":
		return "died"
	case "RC3":
		return "child arrangements order"
	case "RC4":
		return "special guardianship order"
	case "RC5":
		return "transferred to another council"
	case "RC6":
		return "transferred to adult social care"
	case "RC7":
		return "services ended for another reason"
	case "RC8":
		return "closed after assessment, no further action"
	case "RC9":
		return "closed after assessment, referred to family help"
	}
	return ""
}

func abuseWords(code string) string {
	switch code {
	case "NEG":
		return "neglect"
	case "PHY":
		return "physical abuse"
	case "SAB":
		return "sexual abuse"
	case "EMO":
		return "emotional abuse"
	case "MUL":
		return "more than one category"
	}
	return ""
}

func disabilityWords(code string) string {
	switch code {
	case "NONE":
		return "no disability"
	case "MOB":
		return "mobility"
	case "HAND":
		return "hand function"
	case "PC":
		return "personal care"
	case "INC":
		return "incontinence"
	case "COMM":
		return "communication"
	case "LD":
		return "learning"
	case "HEAR":
		return "hearing"
	case "VIS":
		return "vision"
	case "BEH":
		return "behaviour"
	case "CON":
		return "consciousness"
	case "AUT":
		return "autism"
	case "DDA":
		return "other disability"
	}
	return ""
}

func ethnicityWords(code string) string {
	switch code {
	case "WBRI":
		return "White British"
	case "WIRI":
		return "White Irish"
	case "WIRT":
		return "Traveller of Irish heritage"
	case "WROM":
		return "Gypsy or Roma"
	case "WOTH":
		return "any other White background"
	case "MWBC":
		return "White and Black Caribbean"
	case "MWBA":
		return "White and Black African"
	case "MWAS":
		return "White and Asian"
	case "MOTH":
		return "any other mixed background"
	case "AIND":
		return "Indian"
	case "APKN":
		return "Pakistani"
	case "ABAN":
		return "Bangladeshi"
	case "AOTH":
		return "any other Asian background"
	case "BCRB":
		return "Black Caribbean"
	case "BAFR":
		return "Black African"
	case "BOTH":
		return "any other Black background"
	case "CHNE":
		return "Chinese"
	case "OOTH":
		return "any other ethnic group"
	case "REFU":
		return "refused"
	case "NOBT":
		return "not yet obtained"
	}
	return ""
}

// factorWords says what an assessment found. The letter says about whom in the
// household (the child, a parent or carer, somebody else), never who.
func factorWords(code string) string {
	number := strings.TrimRight(code, "ABCDEF")
	letter := strings.TrimPrefix(code, number)
	if subject := sharedFactor(number); subject != "" {
		switch letter {
		case "A":
			return subject + ": the child"
		case "B":
			return subject + ": a parent or carer"
		case "C":
			return subject + ": another person in the household"
		}
		return ""
	}
	switch code {
	case "7A":
		return "young carer"
	case "8A":
		return "privately fostered"
	case "8B":
		return "privately fostered: from overseas, intends to return"
	case "8C":
		return "privately fostered: from overseas, intends to stay"
	case "8D":
		return "privately fostered: in an educational placement"
	case "8E":
		return "privately fostered: own arrangements"
	case "8F":
		return "privately fostered: other"
	case "9A":
		return "unaccompanied asylum-seeking child"
	case "10A":
		return "going missing"
	case "11A":
		return "child sexual exploitation"
	case "12A":
		return "trafficking"
	case "13A":
		return "gangs"
	case "14A":
		return "socially unacceptable behaviour"
	case "15A":
		return "self-harm"
	case "16A":
		return "neglect"
	case "17A":
		return "emotional abuse"
	case "18A":
		return "physical abuse"
	case "18B":
		return "physical abuse by a child"
	case "18C":
		return "physical abuse by an adult"
	case "19A":
		return "sexual abuse"
	case "19B":
		return "sexual abuse by a child"
	case "19C":
		return "sexual abuse by an adult"
	case "20", "20A":
		return "other factor"
	case "21", "21A":
		return "no factors identified"
	case "22A":
		return "female genital mutilation"
	case "23A":
		return "abuse linked to faith or belief"
	case "24A":
		return "child criminal exploitation"
	}
	return ""
}

func sharedFactor(number string) string {
	switch number {
	case "1":
		return "alcohol misuse"
	case "2":
		return "drug misuse"
	case "3":
		return "subject of domestic abuse"
	case "4":
		return "mental health"
	case "5":
		return "learning disability"
	case "6":
		return "physical disability or illness"
	}
	return ""
}
