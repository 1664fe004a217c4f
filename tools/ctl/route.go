package ctl

import (
	"context"
	"fmt"
	"net/url"

	"github.com/holdfast-io/holdfast/dispatcher"
)

// The paths of a gateway's admin address.
const (
	RoutePath     = "/api/route"     // ?uid=...&command=...: a dispatcher.Explanation
	InstancesPath = "/api/instances" // [?service=...]: a list of dispatcher.InstanceView
)

// Route writes where the requests of uid with command would go now.
func Route(ctx context.Context, out Output, from Admin, uid, command string) error {
	query := url.Values{"uid": {uid}}
	if command != "" {
		query.Set("command", command)
	}
	var e dispatcher.Explanation
	if err := from.get(ctx, RoutePath, query, &e); err != nil {
		return err
	}
	if out.JSON {
		return out.json(e)
	}
	rows := candidates(&e)
	if err := writeRoute(out, &e); err != nil || len(rows) == 0 {
		return err
	}
	return out.table([]string{"", "SLOT", "INSTANCE", "ADDRESS", "BREAKER", "STATE"}, rows)
}

// writeRoute writes the lines above the table.
func writeRoute(out Output, e *dispatcher.Explanation) error {
	what := "user " + e.UID
	if e.Command != "" {
		what += ", command " + e.Command
	}
	if e.Service == "" {
		_, err := fmt.Fprintf(out.To, "%s: no route takes it\n", what)
		return err
	}
	by := ""
	switch {
	case e.Command == "":
		by = " (judges logins)"
	case e.Route != "":
		by = fmt.Sprintf(" (route %q)", e.Route)
	default:
		by = " (the route of every command)"
	}
	goes := "goes to " + e.Picked
	if e.Picked == "" {
		goes = "goes nowhere (" + e.Refusal + ")"
		if e.Outage != "" {
			goes += ", answered by " + e.Outage
		}
	}
	_, err := fmt.Fprintf(out.To, "%s: service %s%s, slot %d of %d, %s\n", what, e.Service, by, e.Slot, e.Slots, goes)
	return err
}

// candidates are the rows of the holder and its substitutes.
func candidates(e *dispatcher.Explanation) [][]string {
	if e.Service == "" || e.Slot < 0 {
		return nil
	}
	rows := [][]string{candidate("holder", e, e.Holder)}
	for i, c := range e.Substitutes {
		rows = append(rows, candidate(fmt.Sprintf("substitute %d", i+1), e, c))
	}
	return rows
}

func candidate(role string, e *dispatcher.Explanation, c dispatcher.Candidate) []string {
	if c.Instance != "" && c.Instance == e.Picked {
		role = "> " + role
	} else {
		role = "  " + role
	}
	return []string{role, fmt.Sprint(c.Slot), c.Instance, c.Address, c.Breaker, candidateState(c)}
}

func candidateState(c dispatcher.Candidate) string {
	switch {
	case c.Instance == "":
		return "vacant"
	case c.Draining:
		return "draining"
	case c.Usable:
		return "usable"
	default:
		return "failed"
	}
}
