// Package labfile is the file in which a lab is written down: who keeps it, its namespaces and processes, and what an engine
// would know of it (networks, endpoints, published ports, services).
//
// It stands between those who write it (fixtures) and who reads it (inspect/engine/lab), which may not import each other: what is
// read of a machine must not depend on what makes labs. It holds the format and nothing else; it reads and writes nothing.
package labfile
