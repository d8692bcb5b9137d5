// Package pcap reads pcap and pcapng and writes pcapng.
//
//	r, err := pcap.Open(in)              // gzip and zstd are told by their first bytes
//	for { rec, err := r.Next() … }       // rec.Data is valid until the next call
//	w := pcap.NewWriter(out, pcap.Section{…})
//	id := w.AddInterface(pcap.Interface{Name: "web/eth0", …}); w.Write(id, rec)
//
// What it writes is complete after every block: whoever kills it leaves a file that opens. What it reads may be hostile: no length
// in a file makes it allocate more than [MaxBlock]; what is cut off ends with io.ErrUnexpectedEOF after all that was whole.
//
// Layouts: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
package pcap
