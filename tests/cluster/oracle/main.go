// What Kubernetes itself says: reads questions as JSON lines, answers each with a JSON line.
//
//	{"pod": ..., "defaults": true}            its effective request, as PodRequests of the scheduler has it
//	{"pod": ..., "node": ..., "others": []}   what each filter of kube-scheduler and the kubelet's admission say
//	{"pod": ..., "nodes": [], "others": [], "namespaces": []}   the nodes that other pods keep it off
//	{"quantity": "1.5Gi"}                     the value of a quantity
//	{"pod": ..., "encode": true}              the pod in JSON and in Protobuf
//	{"pod": ..., "encode": true, "fill": 7}   the same of a pod with something in most of its fields
//	{"words": true}                           names of fields and of the scheduler's default plugins
//
// With defaults, objects are first completed as the API server does it.
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"math"
	"os"

	v1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/component-helpers/resource"
	defaults "k8s.io/kubernetes/pkg/apis/core/v1"
)

type question struct {
	Pod      *v1.Pod
	Node     *v1.Node
	Others   []*v1.Pod
	Defaults bool
	Quantity *string
	Words    bool
	Encode   bool
	Fill     *int64

	Nodes      []*v1.Node
	Namespaces []*v1.Namespace
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	answers := json.NewEncoder(out)
	judge := newJudge()
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var asked question
		var answer any
		if err := json.Unmarshal(line, &asked); err != nil {
			answer = map[string]string{"error": err.Error()}
		} else {
			answer = judge.answer(&asked)
		}
		if err := answers.Encode(answer); err != nil {
			log.Fatal(err)
		}
		// Who asks one thing at a time must not wait for a full buffer.
		if in.Buffered() == 0 {
			if err := out.Flush(); err != nil {
				log.Fatal(err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		log.Fatal(err)
	}
}

func (j *judge) answer(asked *question) any {
	if asked.Quantity != nil {
		return readQuantity(*asked.Quantity)
	}
	if asked.Words {
		return words()
	}
	if asked.Fill != nil {
		asked.Pod = fill(*asked.Fill, asked.Pod)
	}
	if asked.Encode {
		return encode(asked.Pod)
	}
	if asked.Defaults {
		defaults.SetObjectDefaults_Pod(asked.Pod)
		for _, other := range asked.Others {
			defaults.SetObjectDefaults_Pod(other)
		}
		if asked.Node != nil {
			defaults.SetObjectDefaults_Node(asked.Node)
		}
	}
	if asked.Nodes != nil {
		return map[string][]string{"off": j.keptOff(asked.Pod, asked.Nodes, asked.Others, asked.Namespaces)}
	}
	if asked.Node != nil {
		return j.filter(asked.Pod, asked.Node, asked.Others)
	}
	return requests(asked.Pod)
}

// amounts are in milli-CPU for cpu and in whole units for all else; beyond names what 64 bits do not hold.
type amounts struct {
	Amounts map[v1.ResourceName]int64 `json:"amounts"`
	Beyond  []v1.ResourceName         `json:"beyond,omitempty"`
}

// As PodInfo.CalculateResource of the scheduler asks it, with the feature gates of this version.
func requests(pod *v1.Pod) amounts {
	list := resource.PodRequests(pod, resource.PodResourcesOptions{
		UseStatusResources: true,
		InPlacePodLevelResourcesVerticalScalingEnabled: true,
	})
	found := amounts{Amounts: map[v1.ResourceName]int64{}}
	for name, quantity := range list {
		if beyond(name, quantity) {
			found.Beyond = append(found.Beyond, name)
		} else if name == v1.ResourceCPU {
			found.Amounts[name] = quantity.MilliValue()
		} else {
			found.Amounts[name] = quantity.Value()
		}
	}
	return found
}

func beyond(name v1.ResourceName, quantity apiresource.Quantity) bool {
	most := apiresource.NewQuantity(math.MaxInt64, apiresource.DecimalSI)
	if name == v1.ResourceCPU {
		most = apiresource.NewMilliQuantity(math.MaxInt64, apiresource.DecimalSI)
	}
	return quantity.Cmp(*most) > 0
}

func readQuantity(text string) any {
	quantity, err := apiresource.ParseQuantity(text)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	return map[string]any{
		"value":       quantity.Value(),
		"milli":       quantity.MilliValue(),
		"beyond":      beyond(v1.ResourceMemory, quantity),
		"beyondMilli": beyond(v1.ResourceCPU, quantity),
	}
}
