package kith.kernel

# METADATA
# title: Entries of other agencies
# description: What the own agency contributed needs no row of the matrix.
foreign := {i: t | some i, t in input.tuples; t.owner != input.caller.agency}

# METADATA
# title: The matrix for this caller
# description: Rows addressed to the agency stand in place of its kind's, cell by cell.
table := data.version.index.kinds[input.caller.kind] if {
	not data.version.index.agencies[input.caller.agency]
} else := object.union(
	data.version.index.kinds[input.caller.kind],
	data.version.index.agencies[input.caller.agency],
)

# METADATA
# title: Of those, the rows that hold for the caller today
rows(letter, section) := [row |
	some row in table[letter][section].rows
	row.agreement in live_agreements
	admits(row)
]

admits(row) if row.simple == true

admits(row) if {
	row.simple == false
	row.from <= today
	today <= row.until
	some role in acting
	row.roles[role]
	every condition in row.conditions {
		condition in met
	}
}

# METADATA
# title: Of those, the rows that hold for this entry too, the widest first
# description: The owner stands by the row's agreement, and the entry fits its conditions.
fitting(letter, section, t) := [row |
	some row in rows(letter, section)
	input.agreements[row.agreement].parties[t.owner] == "signed"
	fits(row, t)
]

fits(row, _) if row.simple == true

fits(row, t) if {
	row.simple == false
	every condition in row.on_entry {
		holds(condition, t)
	}
}

# METADATA
# title: Children whose contact is rated so that the MASH sees inside its ring
inside contains child if {
	purpose.inside
	mash
	some child in answered
	input.people[child].rating in {"amber", "red"}
}

# METADATA
# title: The letter of the matrix under which each entry is read
# description: |
#   Inside the ring for entries about people of such children alone; all others
#   have the purpose's letter.
letters := {i: purpose.letter | some i, _ in foreign} if {
	count(inside) == 0
} else := {i: letter_inside(t) | some i, t in foreign}

letter_inside(t) := purpose.inside if {
	every person in t.about {
		some child in inside
		belongs(person, child, t)
	}
} else := purpose.letter

belongs(person, child, _) if person == child

belongs(person, child, _) if {
	some span in input.people[child].near[person]
	span.kind == "parent"
}

belongs(person, child, t) if {
	some span in input.people[child].near[person]
	at_the_time(span, t)
}

# METADATA
# title: The widest row for each entry
shared := {i: row |
	not break_glass
	some i, t in foreign
	t.about[0]
	row := fitting(letters[i], t.section, t)[0]
	row.level > 0
}

# METADATA
# title: What allows each entry of other agencies
# description: |
#   A row of the matrix, or where that gives less a live exception. An entry
#   without a source is hidden.
sources := shared if {
	not input.grants[0]
} else := object.union({i: row | some i, row in shared; not exceptions[i]}, exceptions)

# METADATA
# title: Those entries that something allows; the rules that lower look at them alone
open := {i: foreign[i] | some i, _ in sources}

# METADATA
# title: Never for this reader, not by grant and not in an emergency
never(section) if data.version.never.kinds[input.caller.kind][section]

never(section) if data.version.never.agencies[input.caller.agency][section]

# METADATA
# title: How much of a part of the record this caller may see, for an entry's people and owner
reading(letter, section, t) := row_level(letter, section, t) if {
	not input.grants[0]
} else := max(array.concat([row_level(letter, section, t)], exception_levels(section, t)))

row_level(letter, section, t) := max(array.concat([0], [row.level |
	not break_glass
	some row in fitting(letter, section, t)
]))

# METADATA
# title: The owner is no agency of the catalogue
lowered[i] contains "unknown-owner" if {
	some i, t in open
	not t.owner in known_owners
}

known_owners contains agency if {
	some agency, party in input.parties
	data.version.kinds[party.kind]
}

# METADATA
# title: Owners whose involvement is itself delicate, and the part of the record that tells of it
delicate := {agency: section |
	some agency, party in input.parties
	section := data.version.kinds[party.kind].involvement
}

# METADATA
# title: The reader may not know that the owner is involved
# description: |
#   An entry is shown only where the reader may know that a mental health,
#   drug, domestic abuse or perpetrator service is involved at all.
lowered[i] contains "owner-hidden" if {
	some i, t in open
	section := delicate[t.owner]
	not may_know(letters[i], section, t.owner)
	not may_know_of(letters[i], section, t)
	not sources[i].grant
	count(exception_levels(section, t)) == 0
}

may_know(letter, section, owner) if {
	not break_glass
	some row in rows(letter, section)
	row.level > 0
	count(row.on_entry) == 0
	input.agreements[row.agreement].parties[owner] == "signed"
}

# METADATA
# title: The reader may know it of the people whom the entry is about
# description: |
#   By a row on conditions all of which are about people. What a row asks of the
#   entry that tells of the involvement says nothing of another entry.
may_know_of(letter, section, t) if {
	not break_glass
	some row in rows(letter, section)
	row.level > 0
	input.agreements[row.agreement].parties[t.owner] == "signed"
	every code in row.on_entry {
		holds_for(code, t.about)
	}
}
