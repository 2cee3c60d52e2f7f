// Prints when robfig/cron v3, the parser of Kubernetes' CronJob, has the next times of schedules around changes of the clocks.
//
//	cd hack/cron-times && go run . > ../../test/fixtures/cron/next-times.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

// A change of the clocks: its moment, in UTC, and what it does there.
type change struct {
	zone, at, what string
}

var changes = []change{
	{"Europe/Berlin", "2026-03-29T01:00:00Z", "02:00 becomes 03:00"},
	{"Europe/Berlin", "2026-10-25T01:00:00Z", "03:00 becomes 02:00"},
	{"America/New_York", "2026-03-08T07:00:00Z", "02:00 becomes 03:00"},
	{"America/New_York", "2026-11-01T06:00:00Z", "02:00 becomes 01:00"},
	{"Australia/Lord_Howe", "2026-10-03T15:30:00Z", "02:00 becomes 02:30"},
	{"Australia/Lord_Howe", "2026-04-04T15:00:00Z", "02:00 becomes 01:30"},
	{"America/Santiago", "2026-09-06T04:00:00Z", "00:00 becomes 01:00"},
	{"America/Santiago", "2026-04-05T03:00:00Z", "00:00 becomes 23:00 of the day before"},
	{"America/Havana", "2026-03-08T05:00:00Z", "00:00 becomes 01:00"},
	{"America/Havana", "2026-11-01T05:00:00Z", "01:00 becomes 00:00"},
	{"Asia/Kolkata", "2026-03-29T01:00:00Z", "nothing: a zone of half an hour"},
	{"Etc/UTC", "2028-02-29T00:00:00Z", "nothing: a leap day"},
}

var schedules = []string{
	"30 2 * * *", "0 2 * * *", "0 3 * * *", "30 1 * * *", "45 1 * * *", "0 0 * * *", "30 0 * * *", "30 23 * * *",
	"15 2,3 * * *", "0 * * * *", "*/15 * * * *", "*/7 * * * *", "0 */2 * * *", "30 */5 * * *", "30 1-3 * * *",
	"*/20 1,2 * * *", "0-10/5 0-3/3 * * *", "0 2 * * SUN", "30 1 29 * *", "0 0 1 * *", "15 1 */2 * *",
	"0 1 13 * FRI", "0 3 */2 * MON", "0 0 1-7 * 0", "30 0 29 2 *", "0 0 31 * ?",
}

// How long after the change, and how many times are asked for.
var questions = []struct {
	after time.Duration
	count int
}{{-50 * time.Hour, 4}, {-100 * time.Minute, 6}, {-1 * time.Minute, 3}, {20 * time.Minute, 3}, {50 * time.Minute, 3}}

type row struct {
	Zone     string   `json:"zone"`
	Schedule string   `json:"schedule"`
	From     string   `json:"from"`
	Next     []string `json:"next"`
}

func main() {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range info.Deps {
			if dependency.Path == "github.com/robfig/cron/v3" {
				version = dependency.Version
			}
		}
	}
	fmt.Printf("{\n  \"note\": \"Made by hack/cron-times: times of github.com/robfig/cron/v3 %s (ParseStandard), %s. Do not edit.\",\n  \"changes\": [\n", version, runtime.Version())
	for index, one := range changes {
		fmt.Printf("    %s%s\n", text(map[string]string{"zone": one.zone, "at": one.at, "what": one.what}), comma(index, len(changes)))
	}
	fmt.Print("  ],\n  \"rows\": [\n")
	rows := record()
	for index, one := range rows {
		fmt.Printf("    %s%s\n", text(one), comma(index, len(rows)))
	}
	fmt.Print("  ]\n}\n")
}

func record() []row {
	var rows []row
	for _, one := range changes {
		zone, err := time.LoadLocation(one.zone)
		check(err)
		at, err := time.Parse(time.RFC3339, one.at)
		check(err)
		for _, text := range schedules {
			schedule, err := cron.ParseStandard(text)
			check(err)
			for _, question := range questions {
				from := at.Add(question.after)
				found := []string{}
				for next := from.In(zone); len(found) < question.count; {
					next = schedule.Next(next)
					if next.IsZero() {
						break
					}
					found = append(found, next.UTC().Format(time.RFC3339))
				}
				rows = append(rows, row{one.zone, text, from.Format(time.RFC3339), found})
			}
		}
	}
	return rows
}

func text(value any) []byte {
	encoded, err := json.Marshal(value)
	check(err)
	return encoded
}

func comma(index, length int) string {
	if index == length-1 {
		return ""
	}
	return ","
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
