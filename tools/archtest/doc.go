// Package archtest holds the rules of the project's shape as a plain test: who
// may import whom, which package is the one door to a third party, which
// packages are pure, and a few habits that a compiler does not see.
//
// rules.go is the part to read: an arrow that is missing there is a decision to
// be made and reviewed. An exemption is a line with its reason.
package archtest
