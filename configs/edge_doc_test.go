package configs

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const edgePath = "../docs/edge.md"

var fenced = regexp.MustCompile("(?ms)^```([a-z ]*)\n(.*?)^```$")

// TestEdgeDocument loads what docs/edge.md shows: fragments of a gateway's file as
// a gateway would, and all else at least as YAML. HAProxy's file is quoted whole.
func TestEdgeDocument(t *testing.T) {
	text, err := os.ReadFile(edgePath)
	if err != nil {
		t.Fatal(err)
	}
	loaded := 0
	for _, m := range fenced.FindAllStringSubmatch(string(text), -1) {
		switch kind, block := m[1], m[2]; kind {
		case "yaml":
			if _, err := load(RoleGateway, DefaultGateway(), Sources{File: "edge.md"}, []byte(block)); err != nil {
				t.Errorf("%v\nin\n%s", err, block)
			}
			loaded++
		case "yaml kubernetes":
			for doc := range strings.SplitSeq(block, "\n---\n") {
				var object struct{ Kind string }
				if err := yaml.Unmarshal([]byte(doc), &object); err != nil || object.Kind == "" {
					t.Errorf("kind %q, %v\nin\n%s", object.Kind, err, doc)
				}
			}
			loaded++
		}
	}
	if loaded < 6 {
		t.Errorf("only %d blocks were loaded", loaded)
	}
	haproxy, err := os.ReadFile("haproxy.cfg")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "\n```\n"+string(haproxy)+"```\n") {
		t.Errorf("%s does not show haproxy.cfg as it is", edgePath)
	}
}
