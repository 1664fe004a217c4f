package ctl

import (
	"context"
	"fmt"
	"net/url"
	"strconv"

	"github.com/holdfast-io/holdfast/dispatcher"
)

// Instances writes what a gateway knows of instances: of service, or of all when
// that is empty.
func Instances(ctx context.Context, out Output, from Admin, service string) error {
	query := url.Values{}
	if service != "" {
		query.Set("service", service)
	}
	var list []dispatcher.InstanceView
	if err := from.get(ctx, InstancesPath, query, &list); err != nil {
		return err
	}
	if out.JSON {
		return out.json(list)
	}
	rows := make([][]string, len(list))
	for i := range list {
		rows[i] = instanceRow(&list[i])
	}
	return out.table([]string{"SERVICE", "SLOT", "INSTANCE", "ADDRESS", "STATE", "REQ/S", "ERRORS", "CALL", "QUEUED", "AT WORK", "BREAKER", "LIMITER"}, rows)
}

func instanceRow(v *dispatcher.InstanceView) []string {
	slot := ""
	if v.Slot >= 0 {
		slot = strconv.Itoa(v.Slot)
	}
	state := "up"
	switch {
	case !v.Up:
		state = "down"
	case v.Draining:
		state = "draining"
	}
	breaker := v.Breaker
	if v.BreakerOpened > 0 {
		breaker += fmt.Sprintf(" (opened %dx)", v.BreakerOpened)
	}
	return []string{
		v.Service, slot, v.ID, v.Address, state, fmt.Sprintf("%.1f", v.PerSecond), fmt.Sprintf("%.1f%%", 100*v.ErrorRatio),
		fmt.Sprintf("%.2fms", v.CallMS), strconv.FormatInt(v.Queued, 10), strconv.FormatInt(v.Outstanding, 10), breaker, v.Limiter,
	}
}
