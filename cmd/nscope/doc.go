// Command nscope shows the network namespaces of a container host and how they are wired together.
package main
