// Package flannel reads what flannel leaves on a node (/run/flannel/subnet.env) and its leases in etcd, which tell whose a
// remote subnet, tunnel end or gateway is.
//
// etcd is asked by its JSON gateway (etcd 3.4 and later, POST /v3/kv/range), which needs no client library: keys and values
// are base64 there. The keys and values are those of flannel's pkg/subnet/etcd.
package flannel
