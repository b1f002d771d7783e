package main

import (
	"context"
	"log"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/component-helpers/scheduling/corev1"
	"k8s.io/klog/v2"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/features"
	"k8s.io/kubernetes/pkg/scheduler"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/feature"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeaffinity"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodename"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeports"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/noderesources"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/nodeunschedulable"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/tainttoleration"
	"k8s.io/kubernetes/pkg/scheduler/metrics"
)

// judge holds the filters of kube-scheduler that need no look at other nodes.
type judge struct {
	plugins []fwk.Plugin
	ctx     context.Context
	gates   feature.Features
}

func newJudge() *judge {
	ctx := klog.NewContext(context.Background(), klog.Logger{})
	// Some plugins count what they do, and panic where nothing is there to count with.
	metrics.InitMetrics()
	gates := feature.NewSchedulerFeaturesFromGates(utilfeature.DefaultFeatureGate)
	plain := func(create func(context.Context, runtime.Object, fwk.Handle, feature.Features) (fwk.Plugin, error), args runtime.Object) fwk.Plugin {
		plugin, err := create(ctx, args, nil, gates)
		if err != nil {
			log.Fatal(err)
		}
		return plugin
	}
	return &judge{ctx: ctx, gates: gates, plugins: []fwk.Plugin{
		plain(nodename.New, nil),
		plain(nodeunschedulable.New, nil),
		plain(tainttoleration.New, nil),
		plain(nodeaffinity.New, &config.NodeAffinityArgs{}),
		plain(nodeports.New, nil),
	}}
}

// verdict names the filters that say no, and the resources of which there is too little.
type verdict struct {
	Scheduler    []string          `json:"scheduler"`
	Kubelet      []string          `json:"kubelet"`
	Insufficient []v1.ResourceName `json:"insufficient"`
}

func (j *judge) filter(pod *v1.Pod, node *v1.Node, others []*v1.Pod) verdict {
	info := nodeInfo(node, others)
	found := verdict{Scheduler: []string{}, Kubelet: []string{}, Insufficient: []v1.ResourceName{}}
	for _, plugin := range j.plugins {
		if !j.passes(plugin, pod, info, []fwk.NodeInfo{info}) {
			found.Scheduler = append(found.Scheduler, plugin.Name())
		}
	}
	// What the filter of NodeResourcesFit calls; the whole plugin wants a scheduler around it.
	lacking := noderesources.Fits(pod, info, nil, noderesources.ResourceRequestsOptions{
		EnablePodLevelResources:   utilfeature.DefaultFeatureGate.Enabled(features.PodLevelResources),
		EnableDRAExtendedResource: utilfeature.DefaultFeatureGate.Enabled(features.DRAExtendedResource),
	})
	if len(lacking) > 0 {
		found.Scheduler = append(found.Scheduler, "NodeResourcesFit")
	}
	for _, one := range lacking {
		found.Insufficient = append(found.Insufficient, one.ResourceName)
	}
	found.Kubelet = append(found.Kubelet, admission(pod, info)...)
	return found
}

func (j *judge) passes(plugin fwk.Plugin, pod *v1.Pod, info fwk.NodeInfo, all []fwk.NodeInfo) bool {
	state := framework.NewCycleState()
	if early, is := plugin.(fwk.PreFilterPlugin); is {
		result, status := early.PreFilter(j.ctx, state, pod, all)
		if status.IsSkip() {
			return true
		}
		if !status.IsSuccess() {
			return false
		}
		if !result.AllNodes() && !result.NodeNames.Has(info.Node().Name) {
			return false
		}
	}
	return plugin.(fwk.FilterPlugin).Filter(j.ctx, state, pod, info).IsSuccess()
}

// admission is what the kubelet checks of a pod that was bound to it (pkg/kubelet/lifecycle/predicate.go).
func admission(pod *v1.Pod, info *framework.NodeInfo) []string {
	var found []string
	for _, result := range scheduler.AdmissionCheck(pod, info, true) {
		if result.InsufficientResource != nil {
			found = append(found, "OutOf"+string(result.InsufficientResource.ResourceName))
		} else {
			found = append(found, result.Name)
		}
	}
	evicts := func(taint *v1.Taint) bool { return taint.Effect == v1.TaintEffectNoExecute }
	if _, untolerated := corev1.FindMatchingUntoleratedTaint(klog.Logger{}, info.Node().Spec.Taints, pod.Spec.Tolerations, evicts,
		utilfeature.DefaultFeatureGate.Enabled(features.TaintTolerationComparisonOperators)); untolerated {
		found = append(found, tainttoleration.Name)
	}
	return found
}

// nodeInfo holds what the scheduler's informer shows it: pods that are bound there and have not ended.
func nodeInfo(node *v1.Node, others []*v1.Pod) *framework.NodeInfo {
	var alive []*v1.Pod
	for _, pod := range others {
		if pod.Spec.NodeName == node.Name && pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed {
			alive = append(alive, pod)
		}
	}
	info := framework.NewNodeInfo(alive...)
	info.SetNode(node)
	return info
}
