package issuer

import "time"

const shelfMost = 10000

// shelf keeps things for a time, and no more than so many: the provider's
// memory is bounded whatever is asked of it. Guarded by Provider.mu.
type shelf[V any] struct {
	items map[string]shelved[V]
}

type shelved[V any] struct {
	value V
	until time.Time
}

func (s *shelf[V]) put(key string, v V, now time.Time, life time.Duration) {
	if s.items == nil {
		s.items = map[string]shelved[V]{}
	}
	if len(s.items) >= shelfMost {
		for k, it := range s.items {
			if !now.Before(it.until) {
				delete(s.items, k)
			}
		}
		for k := range s.items { // still full: any one goes
			if len(s.items) < shelfMost {
				break
			}
			delete(s.items, k)
		}
	}
	s.items[key] = shelved[V]{v, now.Add(life)}
}

func (s *shelf[V]) get(key string, now time.Time) (V, bool) {
	it, ok := s.items[key]
	if !ok || !now.Before(it.until) {
		var none V
		return none, false
	}
	return it.value, true
}

// take is get, once.
func (s *shelf[V]) take(key string, now time.Time) (V, bool) {
	v, ok := s.get(key, now)
	delete(s.items, key)
	return v, ok
}

// drop takes away all that match.
func (s *shelf[V]) drop(match func(V) bool) {
	for k, it := range s.items {
		if match(it.value) {
			delete(s.items, k)
		}
	}
}
