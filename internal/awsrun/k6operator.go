package awsrun

import (
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"

	"github.com/hoplab/hoplab/internal/experiment"
	"github.com/hoplab/hoplab/internal/fail"
	"github.com/hoplab/hoplab/internal/plan"
	"github.com/hoplab/hoplab/loadtest"
)

// what a reader of the manifest must fill in.
const (
	operatorImage = "REGISTRY/k6-hoplab:VERSION"
	operatorClaim = "hoplab-samples"
)

const operatorNotes = `# The plan %s for k6-operator: for each replicate a ConfigMap and a TestRun.
# Before it is applied:
#   - replace http://ARM.example/ by the URL under which each arm is called;
#   - replace the image %s by one with a shell
#     and with k6 and hoplab's extension as "k6" on the PATH;
#   - make a PersistentVolumeClaim %s that all runners can write to.
# Replicates must not overlap: apply them one after the other, each with
#   kubectl apply -f FILE -l hoplab.replicate=1
# Each runner writes samples.hop into a folder named after its pod. Collected
# as samples-000.hop, samples-001.hop, ... they are one replicate's share of a
# run directory.
`

type object = map[string]any

// K6Operator writes the plan as manifests for Grafana's k6-operator, one
// ConfigMap and one TestRun for each replicate. The operator cuts the load
// into execution segments by itself, as many as the plan has generators; an
// init container tells each runner its number, which ends its host name.
func K6Operator(w io.Writer, p plan.Plan) error {
	if err := p.Validate(); err != nil {
		return err
	}
	if p.Design == plan.DesignArticle {
		return fail.Newf(fail.Usage, "use design random", "design article: k6-operator would start its arms at once")
	}
	if _, err := fmt.Fprintf(w, operatorNotes, p.Hash(), operatorImage, operatorClaim); err != nil {
		return err
	}
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	for i := 1; i <= p.Replicates; i++ {
		for _, part := range []func(*plan.Plan, int) (object, error){operatorConfig, operatorTest} {
			o, err := part(&p, i)
			if err != nil {
				return err
			}
			if err := e.Encode(o); err != nil {
				return err
			}
		}
	}
	return e.Close()
}

func operatorName(p *plan.Plan, replicate int) string {
	return fmt.Sprintf("hoplab-%s-r%02d", p.Hash(), replicate)
}

func operatorMeta(p *plan.Plan, replicate int) object {
	return object{"name": operatorName(p, replicate),
		"labels": object{"app.kubernetes.io/part-of": "hoplab", "hoplab.replicate": fmt.Sprint(replicate)}}
}

func operatorConfig(p *plan.Plan, replicate int) (object, error) {
	l := experiment.Load(p, operatorName(p, replicate), replicate, 0)
	for i := range l.Arms {
		l.Arms[i].URL = "http://" + l.Arms[i].Name + ".example/"
	}
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, err
	}
	return object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": operatorMeta(p, replicate),
		"data": object{"load.json": string(text) + "\n", "main.js": string(loadtest.Main)}}, nil
}

// numbering sets the generator's number in the load: runner N of the operator,
// counted from 1, is generator N-1.
const numbering = `sed "s/\"generator\": 0/\"generator\": $((${HOSTNAME##*-} - 1))/" /plan/load.json >/load/load.json`

func operatorTest(p *plan.Plan, replicate int) (object, error) {
	name := operatorName(p, replicate)
	config := object{"name": "plan", "configMap": object{"name": name}}
	planMount := object{"name": "plan", "mountPath": "/plan"}
	loadMount := object{"name": "load", "mountPath": "/load"}
	env := func(path string) object { return object{"name": "HOPLAB_LOAD", "value": path} }
	return object{"apiVersion": "k6.io/v1alpha1", "kind": "TestRun", "metadata": operatorMeta(p, replicate), "spec": object{
		"parallelism": p.Generators,
		"separate":    p.Generators > 1, // one runner per node: two would slow each other down
		"quiet":       "true",
		"arguments":   "--no-usage-report --summary-mode=disabled --no-thresholds --out hoplab=/samples/samples.hop",
		"script":      object{"configMap": object{"name": name, "file": "main.js"}},
		// The operator inspects the script once before it starts the runners.
		"initializer": object{"image": operatorImage, "env": []object{env("/plan/load.json")},
			"volumes": []object{config}, "volumeMounts": []object{planMount}},
		"runner": object{
			"image": operatorImage,
			"env": []object{env("/load/load.json"), {"name": "GOGC", "value": "off"}, {"name": "GOMEMLIMIT", "value": "768MiB"},
				{"name": "POD_NAME", "valueFrom": object{"fieldRef": object{"fieldPath": "metadata.name"}}}},
			"resources": object{"requests": object{"cpu": "1", "memory": "1Gi"}, "limits": object{"memory": "1Gi"}},
			"initContainers": []object{{"name": "number", "image": operatorImage, "command": []string{"sh", "-c", numbering},
				"volumeMounts": []object{planMount, loadMount}}},
			"volumes": []object{config, {"name": "load", "emptyDir": object{}},
				{"name": "samples", "persistentVolumeClaim": object{"claimName": operatorClaim}}},
			"volumeMounts": []object{loadMount, {"name": "samples", "mountPath": "/samples", "subPathExpr": "$(POD_NAME)"}},
		},
	}}, nil
}
