package main

import (
	"log"
	"reflect"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/latest"
)

// words are the names that a list of rules has to know to be complete.
func words() map[string][]string {
	defaults, err := latest.Default()
	if err != nil {
		log.Fatal(err)
	}
	var plugins []string
	for _, plugin := range defaults.Profiles[0].Plugins.MultiPoint.Enabled {
		plugins = append(plugins, plugin.Name)
	}
	return map[string][]string{
		"plugins":      plugins,
		"spec":         fields(v1.PodSpec{}),
		"containers[]": fields(v1.Container{}),
		"volumes[]":    fields(v1.VolumeSource{}),
	}
}

func fields(of any) []string {
	kind := reflect.TypeOf(of)
	var names []string
	for at := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(at).Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}
