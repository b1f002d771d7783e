//! The pods of which throughput is measured, as each side is given them.

use serde_json::{Value, json};

/// Pods that all ask for the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// GPUs of each pod, beside one CPU.
    pub(crate) gpus: u32,
}

impl Load {
    fn spec(self) -> Value {
        let mut requests = json!({"cpu": "1", "memory": "256Mi"});
        let mut limits = json!({});
        if self.gpus > 0 {
            requests["nvidia.com/gpu"] = json!(self.gpus.to_string());
            limits["nvidia.com/gpu"] = json!(self.gpus.to_string());
        }
        let resources = json!({"requests": requests, "limits": limits});
        json!({
            "restartPolicy": "Never",
            "containers": [{"name": "main", "image": "busybox", "resources": resources}],
        })
    }

    /// A pod for this scheduler.
    pub(crate) fn pod(self, name: &str, scheduler: &str) -> Value {
        let mut spec = self.spec();
        spec["schedulerName"] = json!(scheduler);
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    }

    /// A batch of so many copies of the pod.
    pub(crate) fn batch(self, name: &str, binding: &str, copies: usize) -> Value {
        let task = json!({
            "name": "work",
            "count": copies,
            "template": {"spec": self.spec()},
            "estimate": {"process": "1h"},
        });
        json!({
            "apiVersion": "taskbatch.dev/v1alpha1",
            "kind": "TaskBatch",
            "metadata": {"name": name},
            "spec": {"binding": binding, "tasks": [task]},
        })
    }

    /// A Job of so many pods at once.
    pub(crate) fn job(self, name: &str, pods: usize) -> Value {
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name},
            "spec": {"parallelism": pods, "completions": pods, "template": {"spec": self.spec()}},
        })
    }
}

/// A node that is ready for ever, with 32 CPUs and so many GPUs.
pub(crate) fn node(name: &str, gpus: u32) -> Value {
    let mut allocatable = json!({"cpu": "32", "memory": "256Gi", "pods": "250"});
    if gpus > 0 {
        allocatable["nvidia.com/gpu"] = json!(gpus.to_string());
    }
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {
            "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        }},
        "status": {
            "allocatable": allocatable,
            "capacity": allocatable,
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        },
    })
}
