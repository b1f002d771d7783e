package main

import (
	"bytes"
	"encoding/json"
	"time"

	v1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/randfill"
)

// fill puts something into most fields of a pod, but for those that the given one already has.
func fill(seed int64, given *v1.Pod) *v1.Pod {
	filler := randfill.NewWithSeed(seed).NilChance(0.3).NumElements(0, 2).MaxDepth(20).Funcs(
		func(to *apiresource.Quantity, c randfill.Continue) {
			*to = *apiresource.NewMilliQuantity(c.Int63n(1e9), apiresource.DecimalSI)
		},
		// An API server stores seconds.
		func(to *metav1.Time, c randfill.Continue) {
			if c.Bool() {
				*to = metav1.Unix(c.Int63n(1<<33), 0)
			}
		},
		func(to *time.Time, c randfill.Continue) { *to = time.Unix(c.Int63n(1<<33), 0) },
		func(to *metav1.FieldsV1, c randfill.Continue) { to.Raw = []byte("{}") },
	)
	var pod v1.Pod
	filler.Fill(&pod.Spec)
	filler.Fill(&pod.Status)
	if given == nil {
		filler.Fill(&pod.ObjectMeta)
	} else {
		pod.ObjectMeta = given.ObjectMeta
		pod.Status.Phase, pod.Status.Conditions = given.Status.Phase, given.Status.Conditions
	}
	return &pod
}

// forms are the two in which an API server says the same: []byte is written in base64.
type forms struct {
	JSON     json.RawMessage `json:"json"`
	Protobuf []byte          `json:"protobuf"`
	List     []byte          `json:"list"`
	Event    []byte          `json:"event"`
}

func encode(pod *v1.Pod) any {
	text, err := json.Marshal(pod)
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	list := &v1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, Items: []v1.Pod{*pod, *pod}}
	list.ResourceVersion, list.Continue = "7", "more"
	object := wire(pod)
	event, err := (&metav1.WatchEvent{Type: "MODIFIED", Object: runtime.RawExtension{Raw: object}}).Marshal()
	if err != nil {
		return map[string]string{"error": err.Error()}
	}
	return forms{JSON: text, Protobuf: object, List: wire(list), Event: event}
}

func wire(object runtime.Object) []byte {
	var out bytes.Buffer
	if err := protobuf.NewSerializer(scheme.Scheme, scheme.Scheme).Encode(object, &out); err != nil {
		panic(err)
	}
	return out.Bytes()
}
