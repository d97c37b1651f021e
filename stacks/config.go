package stacks

import (
	"fmt"

	"github.com/hoplab/hoplab/internal/ports"
)

// Config is what the context keys say, checked. Build accepts only what
// ParseConfig returned.
type Config struct {
	// Arms has one element, or two with -c arms=both.
	Arms []Arm
	// AppImage and ClientImage are image references; "" means the Docker
	// asset of this repository for the app, and DefaultClientImage for the client.
	AppImage    string
	ClientImage string
	// Source is the directory of the repository, for Docker assets.
	Source string
}

// Arm is one deployed configuration of the app.
type Arm struct {
	// Name is "" when there is one arm: then no name and no logical id
	// carries the mode, so that switching it replaces nothing. With both
	// arms it is "agent" or "bypass".
	Name     string
	Override ports.Override
	// Listener is the ALB port that reaches this arm.
	Listener int
}

// suffix returns "-agent" and the like for names, "" for a single arm.
func (a Arm) suffix() string {
	if a.Name == "" {
		return ""
	}
	return "-" + a.Name
}

// discovery returns the Service Connect discovery name.
func (a Arm) discovery() string { return ports.PortName + a.suffix() }

// ParseConfig reads the context through get, which returns nil for a key
// that is not set. Values are strings from -c key=value and any JSON value
// from cdk.json. The error names the key, the value and the rule.
func ParseConfig(get func(key string) any) (Config, error) {
	c := Config{Source: "."}
	override, err := ports.ParseOverride(get("ingressPortOverride"), ports.Container)
	if err != nil {
		return Config{}, err
	}
	arms, err := choice(get, "arms", "one", "both")
	if err != nil {
		return Config{}, err
	}
	if arms == "both" {
		if _, set := override.Port(); !set {
			if override, err = ports.CheckOverride(ports.ExampleOverride, ports.Container); err != nil {
				return Config{}, err
			}
		}
		c.Arms = []Arm{
			{Name: "agent", Listener: ports.Listener},
			{Name: "bypass", Listener: ports.SecondListener, Override: override},
		}
	} else {
		c.Arms = []Arm{{Listener: ports.Listener, Override: override}}
	}
	if c.AppImage, err = text(get, "appImage"); err != nil {
		return Config{}, err
	}
	if c.ClientImage, err = text(get, "clientImage"); err != nil {
		return Config{}, err
	}
	return c, nil
}

// text returns the string value of key, "" when it is absent.
func text(get func(string) any, key string) (string, error) {
	switch v := get(key).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	default:
		return "", fmt.Errorf("%s %v: a %T is not a string", key, v, v)
	}
}

// choice returns the value of key, which must be one of the values; the
// first is the default.
func choice(get func(string) any, key string, values ...string) (string, error) {
	v, err := text(get, key)
	if err != nil {
		return "", err
	}
	if v == "" {
		return values[0], nil
	}
	for _, w := range values {
		if v == w {
			return v, nil
		}
	}
	return "", fmt.Errorf("%s %q: choose one of %q", key, v, values)
}
