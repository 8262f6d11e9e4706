package demo

import "math/rand/v2"

// Names for the bulk families: enough of them that a search has something to
// do, few enough that many people share one.

func girls() []string {
	return []string{"Amelia", "Olivia", "Isla", "Ava", "Mia", "Ivy", "Lily", "Freya", "Evie", "Florence", "Willow", "Elsie", "Poppy", "Sophie", "Grace", "Ruby", "Phoebe", "Daisy",
		"Matilda", "Alice", "Charlotte", "Emily", "Isabelle", "Aisha", "Maryam", "Zainab", "Fatima", "Hannah", "Layla", "Sara", "Zofia", "Julia", "Maja", "Niamh", "Aoife", "Caitlin",
		"Bronwen", "Megan", "Seren", "Priya", "Ananya", "Jaya", "Adaeze", "Ngozi", "Efua", "Kayleigh", "Chelsea", "Gemma", "Stacey", "Leanne", "Tracey", "Joanne", "Michelle", "Catherine",
		"Elizabeth", "Margaret", "Susan", "Deborah", "Kathryn", "Siân"}
}

func boys() []string {
	return []string{"Noah", "Oliver", "George", "Arthur", "Muhammad", "Leo", "Harry", "Oscar", "Henry", "Archie", "Theodore", "Freddie", "Charlie", "Jack", "Alfie", "Thomas", "Jude",
		"Finley", "Isaac", "William", "Joshua", "Samuel", "Ibrahim", "Yusuf", "Ahmed", "Hassan", "Jakub", "Jan", "Kacper", "Piotr", "Cian", "Rhys", "Owen", "Dylan", "Ioan", "Arjun", "Rohan",
		"Vikram", "Chidi", "Kwame", "Emeka", "Craig", "Wayne", "Lee", "Darren", "Gary", "Dean", "Stephen", "Michael", "David", "Christopher", "Jonathan", "Alexander", "Nicholas", "Robert",
		"Anthony", "Seán", "José", "Zoltán", "Björn"}
}

func streets() []string {
	return []string{"Quay Road", "Larch Close", "Station Parade", "Foundry Street", "Marlowe Avenue", "Mill Lane", "Jubilee Terrace", "Weavers Row", "Canal Side", "Chapel Rise", "Hawthorn Road",
		"Priory Walk", "Beacon View", "Albert Road", "Windmill Lane", "Tramway Street", "Kiln Street", "Prospect Street", "Ropewalk", "Primrose Bank", "Spinney Road", "Dyers Court",
		"Aspen Way", "Linden Grove", "Collier Street", "Sandstone Road", "Bobbin Yard", "Lime Kiln Road", "St Mary's Close", "O'Connell Street"}
}

func surnames() []string {
	return []string{"Smith", "Jones", "Taylor", "Brown", "Williams", "Wilson", "Johnson", "Davies", "Patel", "Robinson", "Wright", "Thompson", "Evans", "Walker", "White", "Roberts", "Green",
		"Hall", "Wood", "Jackson", "Clarke", "Khan", "Ahmed", "Hussain", "Begum", "Ali", "Singh", "Kaur", "Shah", "Nowak", "Kowalski", "Wiśniewski", "Okafor", "Adeyemi", "Mensah", "Osei",
		"Murphy", "Kelly", "O'Brien", "O'Neill", "Byrne", "Ryan", "MacDonald", "McKenzie", "Campbell", "Fraser", "Stewart", "Hughes", "Griffiths", "Llewellyn", "Price", "Bevan", "Baker",
		"Cooper", "Carter", "Turner", "Mason", "Fletcher", "Shepherd", "Thatcher", "Hargreaves", "Ramsbottom", "Ackroyd", "Butterworth", "Clegg", "Entwistle", "Greenhalgh", "Higginbottom",
		"Kershaw", "Oldroyd", "Pickles", "Sutcliffe", "Widdop", "Ashworth", "Barraclough", "Crabtree", "Duckworth", "Earnshaw", "Fairhurst", "Gaunt", "Halliwell", "Illingworth", "Jagger",
		"García", "Nguyen", "Chen", "Wong", "Li", "Schmidt", "Rossi", "Silva", "Popescu", "Ionescu", "Ivanova", "Petrov", "Haddad", "Nasser", "Farah", "Abdi", "Tesfaye", "Bekele", "Dlamini",
		"Moyo", "Ncube", "Banda", "Phiri", "Lungu", "D'Souza", "Fernandes", "Pereira", "Joseph", "Charles", "Baptiste", "St Clair", "de Souza", "van Dijk"}
}

func pickName(r *rand.Rand, all []string) string { return all[r.IntN(len(all))] }

// surname is a double-barrelled one now and then.
func surname(r *rand.Rand) string {
	s := pickName(r, surnames())
	if r.IntN(12) == 0 {
		s += "-" + pickName(r, surnames())
	}
	return s
}
