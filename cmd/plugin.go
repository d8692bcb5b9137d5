package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// dockerFlags are the flags that docker takes before a plugin's name and hands on to it: whether each has a value.
var dockerFlags = map[string]bool{
	"--config": true, "-c": true, "--context": true, "-H": true, "--host": true, "-l": true, "--log-level": true,
	"--tlscacert": true, "--tlscert": true, "--tlskey": true,
	"-D": false, "--debug": false, "--tls": false, "--tlsverify": false,
}

// plugin tells how nscope was called: by its own name, as `docker nscope` or as `kubectl nscope`. Docker hands a plugin its
// own command line, the plugin's name among it, and asks it beforehand who it is (CLI plugin protocol 0.1.0).
func plugin(args []string, out io.Writer) (name string, rest []string, done bool) {
	rest = args[1:]
	switch strings.TrimSuffix(filepath.Base(args[0]), ".exe") {
	case "docker-nscope":
		if len(rest) == 1 && rest[0] == "docker-cli-plugin-metadata" {
			fmt.Fprintf(out, `{"SchemaVersion":"0.1.0","Vendor":"nscope","Version":%q,"ShortDescription":"See the network namespaces of this host and how they are wired"}`+"\n", Version())
			return "", nil, true
		}
		return "docker nscope", afterDocker(rest), false
	case "kubectl-nscope":
		return "kubectl nscope", rest, false
	}
	if asksExtcap(rest) {
		rest = append([]string{"extcap"}, rest...)
	}
	return "nscope", rest, false
}

// afterDocker translates docker's own flags and leaves what follows the plugin's name: -H is the engine to ask, --config
// where docker's contexts are. The rest of them means nothing here.
func afterDocker(args []string) []string {
	var engines []string
	for i := 0; i < len(args); i++ {
		if args[i] == "nscope" {
			return append(engines, args[i+1:]...)
		}
		flag, value, joined := strings.Cut(args[i], "=")
		hasValue, known := dockerFlags[flag]
		if !known {
			break // it was not docker that called
		}
		if hasValue && !joined {
			if i++; i == len(args) {
				break
			}
			value = args[i]
		}
		switch flag {
		case "-H", "--host":
			engines = append(engines, "--engine="+value)
		case "--config":
			os.Setenv("DOCKER_CONFIG", value)
		}
	}
	return args
}
