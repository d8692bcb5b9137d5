// Package host is what the engine families of inspect/engine share: the processes of the machine and how an engine's pids
// translate to them ([Table]), files and sockets below another mount namespace's root ([Root]), HTTP that is bounded in
// time and size ([HTTPClient]), and the interface that a family implements ([Family]).
//
// Files are never followed out of their root: absolute symbolic links (/var/run → /run) are resolved inside of it, as the
// engine that wrote them would. Only regular files are read, and only up to a limit, because a root may belong to
// somebody else's container.
package host
