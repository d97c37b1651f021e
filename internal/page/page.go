// Package page draws a deployment as one HTML page: the map of its hosts and
// ports, and what each caller's request does on it, hop by hop. The page is one
// file that loads nothing; its program is TypeScript below web, bundled by
// build.mjs into bundle, which is committed so that go build alone is enough.
//
// What the page shows is a Model, which New makes of a topology and its
// predictions. Text of a template travels as JSON and is set as text, never
// as markup: the page's own policy (Policy) refuses the rest.
package page

import (
	"reflect"

	"github.com/hoplab/hoplab/internal/change"
	"github.com/hoplab/hoplab/internal/printable"
	"github.com/hoplab/hoplab/internal/reach"
)

//go:generate node build.mjs

// Schema names the form of the model. It is the page's own: page and model
// travel in one file.
const Schema = "hoplab/page/v1"

// Model is what the page shows.
type Model struct {
	Schema string   `json:"schema"`
	Title  string   `json:"title"` // what the deployment was read from
	Map    Map      `json:"map"`
	Caller []Caller `json:"callers"`
	Paths  []Path   `json:"paths"`
	// Live is set when a running lab stands behind the page.
	Live bool `json:"live,omitempty"`
	// Changing is set where the deployment can be changed.
	Changing *Changing `json:"changing,omitempty"`
	// Shown is the request that the page opens at; nil for the first that is likely.
	Shown *Shown `json:"shown,omitempty"`
	// Lessons is set for the page of the lessons, which has no map of its own.
	Lessons *Lessons `json:"lessons,omitempty"`
	// LeftOut counts the predictions beyond MaxPaths.
	LeftOut int             `json:"left_out,omitempty"`
	Ports   []reach.PortRow `json:"ports"`
	Notes   []string        `json:"notes,omitempty"`
}

// Lessons are what can be taken on the page of the lessons.
type Lessons struct {
	Lessons    []Entry `json:"lessons"`
	Situations []Entry `json:"situations"`
}

// Entry is a lesson or a situation of a list.
type Entry struct {
	ID    string `json:"id"`
	Title string `json:"title"`
}

// Changing is what can be changed of a deployment, and what was changed.
type Changing struct {
	// Version stands for the source with the changes that were made.
	Version string         `json:"version"`
	Offers  []change.Offer `json:"offers"`
	Made    []Made         `json:"made"`
}

// Made is a change that was made.
type Made struct {
	Label string        `json:"label"`
	Diff  []change.Line `json:"diff"`
	Copy  change.Copies `json:"copy"`
}

// Map is what there is and where: areas inside each other, hosts in them, and
// lines between hosts that are likely to call each other.
type Map struct {
	Areas []Area `json:"areas"`
	Hosts []Host `json:"hosts"`
	Lines []Line `json:"lines"`
}

// Area is a VPC, or the subnets that some hosts share.
type Area struct {
	ID     string `json:"id"`
	Parent string `json:"parent,omitempty"`
	Kind   string `json:"kind"` // "vpc" or "subnets"
	Label  string `json:"label"`
}

// Host is who calls or is called.
type Host struct {
	ID     string  `json:"id"`
	Area   string  `json:"area,omitempty"`
	Kind   string  `json:"kind"` // "alb", "service", "instance" or "caller"
	Label  string  `json:"label"`
	Detail string  `json:"detail,omitempty"` // "2 tasks", "run-task"
	Groups []Group `json:"groups,omitempty"`
	// Listens are a load balancer's ports.
	Listens []string `json:"listens,omitempty"`
	// Agent is set for a service with Service Connect, Ports for each port it serves.
	Agent bool       `json:"agent,omitempty"`
	Ports []HostPort `json:"ports,omitempty"`
}

// Group is a security group that stands before a host.
type Group struct {
	Label   string   `json:"label"`
	Ingress []string `json:"ingress"`
	Egress  []string `json:"egress"`
	Open    string   `json:"open,omitempty"` // why there may be rules that were not read
}

// HostPort is one port of a service where it counts; "" where there is none.
type HostPort struct {
	Name      string `json:"name,omitempty"` // of the endpoint
	Client    string `json:"client,omitempty"`
	Ingress   string `json:"ingress,omitempty"`
	Container string `json:"container,omitempty"`
}

// Line joins two hosts; Ports are what is dialled.
type Line struct {
	From  string   `json:"from"`
	To    string   `json:"to"`
	Ports []string `json:"ports"`
}

// Caller is who may be chosen, and the host that it is on the map.
type Caller struct {
	Key   string `json:"key"`
	Host  string `json:"host"`
	Label string `json:"label"`
}

// Path is one prediction.
type Path struct {
	ID        string   `json:"id"`
	Caller    string   `json:"caller"` // Caller.Key
	Kind      string   `json:"kind"`
	URL       string   `json:"url"`
	What      string   `json:"what"`
	Likely    bool     `json:"likely,omitempty"`
	Stops     []Stop   `json:"stops"`
	Outcome   Outcome  `json:"outcome"`
	If        string   `json:"if,omitempty"` // the condition of Otherwise
	Otherwise *Outcome `json:"otherwise,omitempty"`
	Assumes   []string `json:"assumes,omitempty"`
	Remarks   []string `json:"remarks,omitempty"`
}

// Place is a part of a host: a load balancer, an agent or an app.
type Place struct {
	Host string `json:"host"` // "" when it is not on the map
	Part string `json:"part"` // the role: "client", "alb", "client agent", "agent", "app"
	Name string `json:"name"`
}

// Stop is one connection of a path.
type Stop struct {
	From    Place    `json:"from"`
	To      Place    `json:"to"`
	Port    string   `json:"port"`
	Through string   `json:"through,omitempty"`
	State   string   `json:"state"` // "open", "closed" or "unknown"
	Admits  []string `json:"admits,omitempty"`
	Blocks  []Block  `json:"blocks,omitempty"`
}

// Block is what closes a stop.
type Block struct {
	Name    string `json:"name"`
	Why     string `json:"why"`
	Nearest string `json:"nearest,omitempty"`
	Opens   string `json:"opens,omitempty"`
}

// Outcome is what the caller sees.
type Outcome struct {
	Class    string   `json:"class"`
	Status   int      `json:"status,omitempty"`
	Body     string   `json:"body,omitempty"`
	Location string   `json:"location,omitempty"`
	By       string   `json:"by,omitempty"`
	Curl     string   `json:"curl,omitempty"`
	Error    string   `json:"error,omitempty"`
	Target   string   `json:"target,omitempty"` // of a health check: "unhealthy Target.Timeout"
	AfterS   *float64 `json:"after_s"`          // seconds; null when not known
	Why      string   `json:"why"`
	Basis    string   `json:"basis,omitempty"` // sections of docs/semantics.md
	Inferred bool     `json:"inferred,omitempty"`
}

// show makes every text below v one line that a browser shows as it is:
// characters that hide, or that turn what follows, become visible escapes.
func show(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			show(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			show(v.Field(i))
		}
	case reflect.Map: // of an answer's header
		for _, k := range v.MapKeys() {
			show(v.MapIndex(k)) // a slice, whose texts can be set
			if name := printable.Line(k.String()); name != k.String() {
				v.SetMapIndex(reflect.ValueOf(name), v.MapIndex(k))
				v.SetMapIndex(k, reflect.Value{})
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			show(v.Index(i))
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(printable.Line(v.String()))
		}
	}
}
