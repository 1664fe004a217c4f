// Package proxyproto reads the PROXY protocol's header, versions 1 and 2, by
// which a load balancer tells whom it speaks for. It is pure: bytes in, values
// out. Whether a connection may send such a header at all, and how long it may
// take, is the listener's business.
//
// The header is believed as a whole or not at all: a field that cannot be right,
// bytes that are left over, a checksum that does not fit or a length beyond the
// bound refuses the connection.
package proxyproto
