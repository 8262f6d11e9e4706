package kith.kernel

# METADATA
# title: Other parts of the record whose information an entry repeats
# description: A court flag means that the text repeats court papers.
repeats contains [i, section] if {
	some i, t in open
	some section in t.contains
}

repeats contains [i, "court-papers"] if {
	some i in flagged.court
}

# METADATA
# title: Entries by the flags that bind
flagging[flag] contains i if {
	some i, t in open
	some flag in t.flags
}

flagged := {flag: entries_of | some flag, entries_of in flagging}

# METADATA
# title: Free text takes the strictest level of every part that it repeats
lowered[i] contains code if {
	some [i, section] in repeats
	code := repeat_codes[reading(letters[i], section, open[i])]
}

repeat_codes := {0: "repeats-hidden", 1: "repeats-existence", 2: "repeats-summary"}

# METADATA
# title: Which entries belong to a part of the record, or repeat it
touching[section] contains i if {
	some i, t in open
	section := t.section
}

touching[section] contains i if {
	some [i, section] in repeats
}

touches := {section: entries_of | some section, entries_of in touching}

# METADATA
# title: Narrative whose text nobody tagged is at most a shared summary outside its owner
lowered[i] contains "untagged" if {
	some i, t in open
	not t.tagged == true
	t.narrative == true
}

lowered[i] contains "untagged" if {
	some i, t in open
	not t.tagged == true
	data.version.sections[t.section].narrative == true
}

# METADATA
# title: Legally restricted information leaves its owner by a named grant alone
lowered[i] contains "legally-restricted" if {
	some i, t in open
	not object.get(t, "sensitivity", 0) in {1, 2, 3}
	not granted_restricted(i, t)
}

lowered[i] contains "legally-restricted" if {
	some i, t in open
	data.version.sections[t.section].sensitivity == 4
	not sources[i].grant
}

granted_restricted(i, t) if {
	t.sensitivity == 4
	sources[i].grant
}

# METADATA
# title: Legal privilege
lowered[i] contains "privileged" if {
	some i in flagged.legal
}

# METADATA
# title: Police handling code C shows at most existence
# description: |
#   And that only where police marked the item so and the reader's cell for
#   code C allows existence. A code that nobody knows counts as C.
lowered[i] contains code if {
	some i in code_c
	code := code_c_ceiling(i, open[i])
}

code_c contains i if {
	some i, t in open
	t.handling
	not t.handling in {"", "P"}
}

code_c contains i if {
	some i, t in open
	t.section == "police-intelligence-c"
}

code_c contains i if some [i, "police-intelligence-c"] in repeats

code_c_ceiling(i, t) := "code-c" if {
	t.existence == true
	reading(letters[i], "police-intelligence-c", t) > 0
} else := "code-c-hidden"

# METADATA
# title: In care and proceedings, parents' clinical information stays with its owner
lowered[i] contains "clinical" if {
	purpose.hides_clinical == true
	some section, _ in data.version.clinical
	some i in touches[section]
	some person in open[i].about
	not input.people[person].child == true
}
