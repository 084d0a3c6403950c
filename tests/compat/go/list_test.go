package compat

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// One row of ../scenarios.md: an expression for the event types of each run, and whether more runs may follow.
type expectation struct {
	runs      []*regexp.Regexp
	openEnded bool
}

var token = regexp.MustCompile(`^(\w+|[()/])([?*+]|×\d+)?$`)

func readList(t *testing.T) map[string]expectation {
	text, err := os.ReadFile("../scenarios.md")
	if err != nil {
		t.Fatal(err)
	}
	short := map[string]string{}
	list := map[string]expectation{}
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case strings.HasPrefix(cells[0], "`"):
			short[strings.Trim(cells[0], "`")] = cells[1]
		case len(cells) == 3 && cells[0] != "name":
			list[cells[0]] = parseRuns(t, strings.Trim(cells[2], "`"), short)
		}
	}
	return list
}

func parseRuns(t *testing.T, patterns string, short map[string]string) expectation {
	var result expectation
	for _, pattern := range strings.Split(patterns, ";") {
		if strings.TrimSpace(pattern) == "…" {
			result.openEnded = true
			continue
		}
		expression := ""
		for _, one := range strings.Fields(pattern) {
			parts := token.FindStringSubmatch(one)
			if parts == nil {
				t.Fatalf("the list's pattern %q has a strange part %q", pattern, one)
			}
			name, repeat := parts[1], parts[2]
			if count, counted := strings.CutPrefix(repeat, "×"); counted {
				repeat = "{" + count + "}"
			}
			switch name {
			case "(":
				expression += "(?:"
			case "/":
				expression += "|"
			case ")":
				expression += ")" + repeat
			default:
				if long, known := short[name]; known {
					name = long
				}
				expression += "(?:" + strings.Join(strings.Fields(name), " ") + " )" + repeat
			}
		}
		result.runs = append(result.runs, regexp.MustCompile("^"+expression+"$"))
	}
	return result
}

// inShort counts repetitions, for messages.
func inShort(types []string) string {
	var parts []string
	for i := 0; i < len(types); {
		next := i
		for next < len(types) && types[next] == types[i] {
			next++
		}
		part := types[i]
		if next-i > 1 {
			part = fmt.Sprintf("%s×%d", part, next-i)
		}
		parts = append(parts, part)
		i = next
	}
	return strings.Join(parts, " ")
}
