package main

import (
	"log"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/backend/cache"
	"k8s.io/kubernetes/pkg/scheduler/framework/parallelize"
	"k8s.io/kubernetes/pkg/scheduler/framework/plugins/interpodaffinity"
)

// cluster is all of a scheduler that InterPodAffinity looks at.
type cluster struct {
	fwk.Handle
	snapshot  *cache.Snapshot
	informers informers.SharedInformerFactory
}

func (c *cluster) SnapshotSharedLister() fwk.SharedLister { return c.snapshot }

func (c *cluster) SharedInformerFactory() informers.SharedInformerFactory { return c.informers }

func (c *cluster) Parallelizer() fwk.Parallelizer { return parallelize.NewParallelizer(1) }

// keptOff names the nodes from which pods there keep the pod away, or from which it keeps itself away.
func (j *judge) keptOff(pod *v1.Pod, nodes []*v1.Node, others []*v1.Pod, namespaces []*v1.Namespace) []string {
	var alive []*v1.Pod
	for _, other := range others {
		if other.Status.Phase != v1.PodSucceeded && other.Status.Phase != v1.PodFailed && other.Spec.NodeName != "" {
			alive = append(alive, other)
		}
	}
	around := &cluster{
		snapshot:  cache.NewSnapshot(alive, nodes),
		informers: informers.NewSharedInformerFactory(nil, 0),
	}
	for _, namespace := range namespaces {
		if err := around.informers.Core().V1().Namespaces().Informer().GetIndexer().Add(namespace); err != nil {
			log.Fatal(err)
		}
	}
	plugin, err := interpodaffinity.New(j.ctx, &config.InterPodAffinityArgs{HardPodAffinityWeight: 1}, around, j.gates)
	if err != nil {
		log.Fatal(err)
	}
	all, err := around.snapshot.NodeInfos().List()
	if err != nil {
		log.Fatal(err)
	}
	found := []string{}
	for _, info := range all {
		if !j.passes(plugin, pod, info, all) {
			found = append(found, info.Node().Name)
		}
	}
	return found
}
