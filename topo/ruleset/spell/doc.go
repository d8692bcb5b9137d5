// Package spell writes the rules of a snapshot as the tools do that made them: line by line as iptables-save and ipvsadm save
// them, and as nft lists them, in JSON and in text.
//
//	spell.NftJSON(table, rule, names) // the statements of one rule, ready for encoding/json
//	spell.NftTable(table, names)      // a table with all in it, as `nft -j list ruleset`
//
// It is pure: no kernel, no program. What a tool prints of the same rules is its test's oracle. What is not understood is
// {"unknown": …} in nft's JSON, never left out. nft's spelling is that of 1.0.6.
package spell
