// Package demo is the synthetic borough of Northby and the wiring that shows a
// hub at work in it. It hides how forty invented families come about: from a
// seed, dated relative to a day that is passed in, with the same ids at every
// start, each special case of this field told as a story with an id and a
// title. Nobody in it exists; phone numbers are from the ranges that Ofcom
// keeps free for drama.
//
// [Fill] writes the borough into a database, [Stories] lists its stories,
// [Accounts] the people and systems that can sign in.
package demo
