// Package seed gives random tests what they begin with: the same each time, so that what passed passes again and a failure can be looked at; and on
// demand another one. It is for tests.
package seed
