package proof

// list reads an array that is not empty.
func list[T any](r *reader, item func() T) (items []T) {
	r.take(`[`)
	for !r.failed {
		items = append(items, item())
		if !r.skip(`,`) {
			r.take(`]`)
			break
		}
	}
	return items
}

// pairs reads a map that is not empty.
func (r *reader) pairs() map[string]string {
	m := map[string]string{}
	r.take(`{`)
	for !r.failed {
		name := r.text()
		r.take(`:`)
		m[name] = r.text()
		if !r.skip(`,`) {
			r.take(`}`)
			break
		}
	}
	return m
}

func (r *reader) terms() (t Terms) {
	r.take(`{`)
	m := members{reader: r}
	t.Clauses = m.strs(`"clauses":`)
	if m.key(`"entries":`) {
		t.Entries = list(r, r.ref)
	}
	t.Grant = m.str(`"grant":`)
	t.Labels = m.strs(`"labels":`)
	if m.key(`"level":`) && t.Level.UnmarshalText(r.raw()) != nil {
		r.failed = true
	}
	t.Masked = m.strs(`"masked":`)
	t.Owner = m.str(`"owner":`)
	t.Part = m.str(`"part":`)
	t.Section = m.str(`"section":`)
	if m.key(`"sensitivity":`) {
		t.Sensitivity = int(r.number())
	}
	r.take(`}`)
	return t
}

func (r *reader) ref() (e EntryRef) {
	if e.UnmarshalText(r.raw()) != nil {
		r.failed = true
	}
	return e
}

func (r *reader) principal() (p Principal) {
	r.take(`{`)
	m := members{reader: r}
	p.ACR = m.str(`"acr":`)
	p.Client = m.str(`"client":`)
	p.Issuer = m.str(`"issuer":`)
	p.Name = m.str(`"name":`)
	p.Roles = m.strs(`"roles":`)
	p.Subject = m.str(`"subject":`)
	p.System = m.key(`"system":true`)
	p.Worker = m.id(`"worker":`)
	r.take(`}`)
	return p
}

// common reads a common part as Encode writes it.
func (r *reader) common() (c Common) {
	r.take(`{`)
	m := members{reader: r}
	c.Causes = m.strs(`"causes":`)
	if m.key(`"children":`) {
		c.Children = list(r, r.id)
	}
	if m.key(`"count":`) {
		c.Count = int(r.number())
	}
	c.Declared = m.key(`"declared":true`)
	if m.key(`"details":`) {
		c.Details = r.pairs()
	}
	c.Emergency = m.key(`"emergency":true`)
	c.Family = m.id(`"family":`)
	if m.key(`"principal":`) {
		c.Principal = r.principal()
	}
	c.Purpose = m.str(`"purpose":`)
	c.Reason = m.str(`"reason":`)
	c.Refusal = m.str(`"refusal":`)
	if m.key(`"released":`) {
		c.Released = list(r, r.terms)
	}
	c.Request = m.str(`"request":`)
	if m.key(`"search":`) {
		c.Search = r.pairs()
	}
	c.V = m.version()
	r.take(`}`)
	return c
}

// subject reads a subject part as Encode writes it.
func (r *reader) subject() (s Subject) {
	r.take(`{`)
	m := members{reader: r}
	s.Person = m.id(`"person":`)
	if m.key(`"released":`) {
		s.Released = list(r, r.terms)
	}
	s.V = m.version()
	r.take(`}`)
	return s
}
